/* SPDX-License-Identifier: MIT */
/* What a queue's thread tells those who watch it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "queue/internal.h"

void ub_queue_get_status(struct ub_queue *q, struct ub_queue_status *ret_status)
{
	ret_status->fetched = atomic_load(&q->fetched);
	ret_status->ended = atomic_load(&q->ended);
	ret_status->error = atomic_load(&q->error);
	ret_status->faults = atomic_load(&q->faults);
	ret_status->tid = atomic_load(&q->tid);
	(void)pthread_mutex_lock(&q->lock);
	memcpy(ret_status->fault, q->fault, sizeof(q->fault));
	(void)pthread_mutex_unlock(&q->lock);
}

void ub_queue_tell(struct ub_queue *q)
{
	(void)eventfd_write(q->event_fd, 1);
}

static void keep_fault(struct ub_queue *q, const char *fmt, va_list ap)
{
	if (atomic_fetch_add(&q->faults, 1) != 0)
		return;
	(void)pthread_mutex_lock(&q->lock);
	(void)vsnprintf(q->fault, sizeof(q->fault), fmt, ap);
	(void)pthread_mutex_unlock(&q->lock);
	ub_queue_tell(q);
}

void ub_queue_fault(struct ub_queue *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep_fault(q, fmt, ap);
	va_end(ap);
}

void ub_queue_fail(struct ub_queue *q, int error, const char *fmt, ...)
{
	va_list ap;

	q->refused = error;
	va_start(ap, fmt);
	keep_fault(q, fmt, ap);
	va_end(ap);
}
