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
	ret_status->tid = atomic_load(&q->tid);
	(void)pthread_mutex_lock(&q->lock);
	ret_status->faults = q->faults;
	memcpy(ret_status->fault, q->fault, sizeof(q->fault));
	(void)pthread_mutex_unlock(&q->lock);
}

bool ub_queue_has_news(struct ub_queue *q)
{
	bool news;

	(void)pthread_mutex_lock(&q->lock);
	news = q->faults && !q->told_fault;
	q->told_fault |= news;
	(void)pthread_mutex_unlock(&q->lock);
	return news;
}

void ub_queue_tell(struct ub_queue *q)
{
	(void)eventfd_write(q->event_fd, 1);
}

/* @keep: whatever was kept before. */
static void keep_fault(struct ub_queue *q, bool keep, const char *fmt, va_list ap)
{
	(void)pthread_mutex_lock(&q->lock);
	keep |= q->faults == 0;
	if (keep)
		(void)vsnprintf(q->fault, sizeof(q->fault), fmt, ap);
	q->faults++;
	(void)pthread_mutex_unlock(&q->lock);
	if (keep)
		ub_queue_tell(q);
}

void ub_queue_fault(struct ub_queue *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep_fault(q, false, fmt, ap);
	va_end(ap);
}

void ub_queue_fail(struct ub_queue *q, int error, const char *fmt, ...)
{
	bool first = !q->refused;
	va_list ap;

	if (first)
		q->refused = error;
	va_start(ap, fmt);
	keep_fault(q, first, fmt, ap);
	va_end(ap);
}
