/* SPDX-License-Identifier: MIT */
/*
 * Queues with a thread each, for the tests of targets whose threads have to do with one another: they stand in for
 * lib/queue behind target/io.h, and do a target's own operations on descriptors by ordinary system calls.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "must.h"
#include "target/target.h"

#define IOS 6U /* of each queue */
#define OPS 16U

/* One of the target's own operations, that is under way. */
struct operation {
	enum { NONE, SEND, SEND_DATA, RECEIVE, READ, WAIT, DONE } kind;
	int fd;
	const struct msghdr *msg;
	void *to;
	uint32_t len;
	int64_t at_ms;
	int res;
};

/* Of an I/O, for who waits for it. */
struct slot {
	char *data;
	sem_t ended;
	int result;
};

struct ub_queue {
	struct ub_tgt *tgt;
	struct ub_tgt_queue own;
	struct ub_io ios[IOS];
	struct slot slots[IOS];
	bool zero_copy; /* they have no buffers */
	char *states;   /* what the target has of them */
	struct operation ops[OPS];
	int wake;
	pthread_mutex_t lock;
	struct ub_io *posted; /* guarded by it */
	bool ends;            /* the same */
	pthread_t thread;
};

static inline void put(struct ub_queue *q, unsigned id, struct operation op)
{
	must(id < OPS);
	must(q->ops[id].kind == NONE);
	q->ops[id] = op;
}

void ub_own_send(struct ub_queue *q, unsigned id, int fd, const struct msghdr *msg,
		 enum ub_send how)
{
	(void)how;
	put(q, id, (struct operation){.kind = SEND, .fd = fd, .msg = msg});
}

static inline char *data_of(struct ub_queue *q, const struct ub_io *io)
{
	return q->slots[ub_io_number(q, io)].data;
}

void ub_own_send_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
		      uint32_t data, uint32_t len)
{
	must(q->zero_copy && len > 0 && data + len <= io->len);
	put(q, id,
	    (struct operation){
		    .kind = SEND_DATA, .fd = fd, .to = data_of(q, io) + data, .len = len});
}

void ub_own_receive_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
			 uint32_t data, uint32_t len)
{
	must(q->zero_copy && len > 0 && data + len <= io->len);
	put(q, id,
	    (struct operation){.kind = RECEIVE, .fd = fd, .to = data_of(q, io) + data, .len = len});
}

int ub_io_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		  uint32_t len)
{
	must(q->zero_copy && data + len <= io->len);
	memcpy(data_of(q, io) + data, from, len);
	return 0;
}

int ub_io_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	must(q->zero_copy && data + len <= io->len);
	memcpy(to, data_of(q, io) + data, len);
	return 0;
}

void ub_own_receive(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len,
		    enum ub_receive how)
{
	(void)how;
	put(q, id, (struct operation){.kind = RECEIVE, .fd = fd, .to = to, .len = len});
}

void ub_own_read(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len)
{
	put(q, id, (struct operation){.kind = READ, .fd = fd, .to = to, .len = len});
}

void ub_own_connect(struct ub_queue *q, unsigned id, int fd, const struct sockaddr *addr,
		    uint32_t len)
{
	put(q, id,
	    (struct operation){.kind = DONE, .res = connect(fd, addr, len) == 0 ? 0 : -errno});
}

void ub_own_wait(struct ub_queue *q, unsigned id, const struct ub_own_time *time)
{
	put(q, id,
	    (struct operation){.kind = WAIT,
			       .at_ms = ub_now_ms() + time->sec * 1000 + time->nsec / 1000000});
}

void *ub_io_buffer(const struct ub_io *io)
{
	return io->data;
}

struct ub_io *ub_queue_io(struct ub_queue *q, uint32_t number)
{
	return number < IOS ? &q->ios[number] : NULL;
}

uint32_t ub_io_number(const struct ub_queue *q, const struct ub_io *io)
{
	return (uint32_t)(io - q->ios);
}

void *ub_io_state(struct ub_queue *q, const struct ub_io *io)
{
	return q->states + ub_io_number(q, io) * q->tgt->type->io_size;
}

struct ub_tgt *ub_queue_target(struct ub_queue *q)
{
	return q->tgt;
}

void *ub_queue_state(struct ub_queue *q)
{
	return q->own.state;
}

void ub_queue_tell(struct ub_queue *q)
{
	(void)q;
}

void ub_io_end(struct ub_queue *q, struct ub_io *io, int error)
{
	struct slot *slot = &q->slots[ub_io_number(q, io)];

	slot->result = error;
	(void)sem_post(&slot->ended);
}

/* Return: whether the operation has ended. */
static inline bool try(struct operation *op, short events)
{
	ssize_t ret = 0;

	switch (op->kind) {
	case SEND:
		ret = events ? sendmsg(op->fd, op->msg, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
		break;
	case SEND_DATA:
		ret = events ? send(op->fd, op->to, op->len, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
		break;
	case RECEIVE:
		ret = events ? recv(op->fd, op->to, op->len, MSG_DONTWAIT) : -1;
		break;
	case READ:
		ret = events ? read(op->fd, op->to, op->len) : -1;
		break;
	case WAIT:
		op->res = -ETIME;
		return ub_now_ms() >= op->at_ms;
	default:
		return op->kind == DONE;
	}
	op->res = ret < 0 ? -errno : (int)ret;
	return events && op->res != -EAGAIN;
}

static inline void wait_for_operations(struct ub_queue *q, struct pollfd *fds)
{
	int64_t now = ub_now_ms(), left = 1000;

	fds[OPS] = (struct pollfd){.fd = q->wake, .events = POLLIN};
	for (unsigned i = 0; i < OPS; i++) {
		const struct operation *op = &q->ops[i];

		fds[i].fd = op->kind >= SEND && op->kind <= READ ? op->fd : -1;
		fds[i].events = op->kind == SEND || op->kind == SEND_DATA ? POLLOUT : POLLIN;
		fds[i].revents = 0;
		if (op->kind == DONE)
			left = 0;
		if (op->kind == WAIT && op->at_ms - now < left)
			left = op->at_ms > now ? op->at_ms - now : 0;
	}
	(void)poll(fds, OPS + 1, (int)left);
}

/* Return: whether the queue is to end. */
static inline bool take_posted(struct ub_queue *q, bool woken)
{
	struct ub_io *io;
	eventfd_t count;
	bool ends;

	if (woken)
		(void)eventfd_read(q->wake, &count);
	(void)pthread_mutex_lock(&q->lock);
	io = q->posted;
	q->posted = NULL;
	ends = q->ends;
	(void)pthread_mutex_unlock(&q->lock);
	while (io) {
		struct ub_io *next = io->next;

		q->tgt->type->submit(q, io);
		io = next;
	}
	return ends;
}

static inline void *run_queue(void *arg)
{
	struct ub_queue *q = arg;
	struct pollfd fds[OPS + 1];

	q->tgt->type->event(q, UB_EVENT_BEGIN, 0);
	q->tgt->type->drained(q);
	for (;;) {
		wait_for_operations(q, fds);
		for (unsigned i = 0; i < OPS; i++) {
			struct operation *op = &q->ops[i];

			if (op->kind == NONE || !try(op, fds[i].revents))
				continue;
			op->kind = NONE;
			q->tgt->type->event(q, i, op->res);
			/* What is on its descriptor by now has not been polled. */
			for (unsigned k = i + 1; k < OPS; k++)
				if (q->ops[k].fd != fds[k].fd)
					fds[k].revents = 0;
		}
		if (take_posted(q, fds[OPS].revents) && q->tgt->type->leaves(q))
			return NULL;
		q->tgt->type->drained(q);
	}
}

/* The @nth I/O, with its data. Return: its result. */
static inline int queue_ask(struct ub_queue *q, unsigned nth, char *data, uint8_t op,
			    uint32_t flags, uint64_t offset, uint32_t len)
{
	struct ub_io *io = &q->ios[nth];

	q->slots[nth].data = data;
	*io = (struct ub_io){.op = op,
			     .flags = flags,
			     .offset = offset,
			     .len = len,
			     .data = q->zero_copy ? NULL : data};
	(void)pthread_mutex_lock(&q->lock);
	io->next = q->posted;
	q->posted = io;
	(void)pthread_mutex_unlock(&q->lock);
	(void)eventfd_write(q->wake, 1);
	while (sem_wait(&q->slots[nth].ended) != 0)
		;
	return q->slots[nth].result;
}

/* Its thread is not begun: all queues of a target are to be open by then. */
static inline void queue_open(struct ub_queue *q, struct ub_tgt *tgt, bool zero_copy)
{
	struct ub_error err = {0};

	*q = (struct ub_queue){.tgt = tgt, .zero_copy = zero_copy, .wake = eventfd(0, EFD_CLOEXEC)};
	q->own.state = calloc(1, tgt->type->queue_size + tgt->queue_more);
	q->states = calloc(IOS, tgt->type->io_size);
	(void)pthread_mutex_init(&q->lock, NULL);
	for (unsigned i = 0; i < IOS; i++)
		(void)sem_init(&q->slots[i].ended, 0, 0);
	if (tgt->type->queue_open(tgt, &q->own, &err) != 0)
		fail_msg("%s", err.msg);
}

static inline void queue_begin(struct ub_queue *q)
{
	assert_int_equal(pthread_create(&q->thread, NULL, run_queue, q), 0);
}

/* What is under way is ended. */
static inline void queue_end(struct ub_queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->ends = true;
	(void)pthread_mutex_unlock(&q->lock);
	(void)eventfd_write(q->wake, 1);
}

static inline void queue_close(struct ub_queue *q)
{
	q->tgt->type->queue_close(q->tgt, &q->own);
	free(q->own.state);
	free(q->states);
	(void)close(q->wake);
}
