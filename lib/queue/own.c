/* SPDX-License-Identifier: MIT */
/* What targets do that belongs to no I/O (target/io.h): sockets and timers of their own, on the thread's ring. */
#include "queue/internal.h"

static void finish(struct io_uring_sqe *sqe, unsigned id)
{
	sqe->user_data = DATA(DATA_OWN, 0) | DATA_OP(UB_OP_ID(id));
}

void ub_own_send(struct ub_queue *q, unsigned id, int fd, const struct msghdr *msg,
		 enum ub_send how)
{
	static const unsigned flags[] = {
		[UB_SEND_WHOLE] = MSG_WAITALL, [UB_SEND_BEFORE_MORE] = MSG_WAITALL | MSG_MORE};
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL | flags[how]);
	finish(sqe, id);
}

void ub_own_receive(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len,
		    enum ub_receive how)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_recv(sqe, fd, to, len, how == UB_RECEIVE_WHOLE ? MSG_WAITALL : 0);
	if (how != UB_RECEIVE_DECRYPTED)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	finish(sqe, id);
}

/* The request's own pages, by its slot. SEND and RECV take no such memory; a socket is a file, too, without a place in
 * it. (Who has hung up is told by a signal then, which the process has blocked.) */
static void move_data(struct ub_queue *q, unsigned id, int fd, uint8_t opcode,
		      const struct ub_io *io, uint32_t data, uint32_t len)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = data;
	sqe->len = len;
	sqe->buf_index = (uint16_t)(io - q->ios);
	finish(sqe, id);
}

void ub_own_send_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
		      uint32_t data, uint32_t len)
{
	move_data(q, id, fd, IORING_OP_WRITE_FIXED, io, data, len);
}

void ub_own_receive_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
			 uint32_t data, uint32_t len)
{
	move_data(q, id, fd, IORING_OP_READ_FIXED, io, data, len);
}

void ub_own_connect(struct ub_queue *q, unsigned id, int fd, const struct sockaddr *addr,
		    uint32_t len)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_connect(sqe, fd, addr, len);
	finish(sqe, id);
}

void ub_own_read(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_read(sqe, fd, to, len, 0);
	finish(sqe, id);
}

_Static_assert(sizeof(struct ub_own_time) == sizeof(struct __kernel_timespec),
	       "it is the kernel's");

void ub_own_wait(struct ub_queue *q, unsigned id, const struct ub_own_time *time)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_timeout(sqe, (struct __kernel_timespec *)(uintptr_t)time, 0, 0);
	finish(sqe, id);
}

void *ub_io_buffer(const struct ub_io *io)
{
	return io->data;
}

struct ub_io *ub_queue_io(struct ub_queue *q, uint32_t number)
{
	return number < q->depth ? &q->ios[number] : NULL;
}

uint32_t ub_io_number(const struct ub_queue *q, const struct ub_io *io)
{
	return (uint32_t)(io - q->ios);
}
