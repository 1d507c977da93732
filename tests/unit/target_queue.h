/* SPDX-License-Identifier: MIT */
/*
 * A queue for the targets' tests: it stands in for lib/queue behind target/io.h, executes the
 * operations by ordinary system calls, one after the other, keeps a log of them, and gives short results
 * and errors on demand.
 */
#pragma once

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "kernel/uapi.h"
#include "target_support.h"

enum what { OP_READ, OP_WRITE, OP_ZEROES, OP_SYNC, OP_FALLOCATE, OP_DISCARD };

struct operation {
	enum what what;
	uint32_t data, len;
	uint64_t offset;
	int mode; /* of a fallocate */
	unsigned file;
	unsigned word; /* target/io.h */
	struct ub_io *io;
};

/* What becomes of the nth operation. Those that are not mentioned are executed. */
struct fate {
	enum { EXECUTE, RETURN, CUT } kind;
	int value; /* RETURN: this result and nothing done; CUT: only so many bytes */
};

#define IOS 4U
#define OPS_MAX 256U

struct ub_queue {
	struct ub_tgt *tgt;
	struct ub_tgt_queue own;
	struct ub_io ios[IOS];
	unsigned ends[IOS];
	int results[IOS];
	char *data;
	struct operation log[OPS_MAX];
	unsigned nr_ops, nr_done; /* of nr_ops */
	struct fate fates[OPS_MAX];
};

#define UNTOUCHED 12345

static inline void put(struct ub_queue *q, struct ub_io *io, unsigned word, struct operation op)
{
	assert_int_equal(io->pending, 0);
	assert_true(q->nr_ops < OPS_MAX);
	op.file = UB_OP_FILE(word);
	op.word = word;
	assert_true(op.file < q->tgt->nr_files + q->own.nr_files);
	op.io = io;
	io->pending++;
	q->log[q->nr_ops++] = op;
}

void ub_io_read(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		uint64_t offset)
{
	put(q, io, op, (struct operation){OP_READ, data, len, offset, 0, 0, 0, NULL});
}

void ub_io_write(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		 uint64_t offset)
{
	put(q, io, op, (struct operation){OP_WRITE, data, len, offset, 0, 0, 0, NULL});
}

void ub_io_write_zeroes(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t len,
			uint64_t offset)
{
	assert_true(len <= UB_ZEROES_MAX);
	put(q, io, op, (struct operation){OP_ZEROES, 0, len, offset, 0, 0, 0, NULL});
}

void ub_io_fsync(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset, uint32_t len)
{
	put(q, io, op, (struct operation){OP_SYNC, 0, len, offset, 0, 0, 0, NULL});
}

void ub_io_fallocate(struct ub_queue *q, struct ub_io *io, unsigned op, int mode, uint64_t offset,
		     uint64_t len)
{
	put(q, io, op,
	    (struct operation){OP_FALLOCATE, 0, (uint32_t)len, offset, mode, 0, 0, NULL});
}

void ub_io_discard(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset, uint64_t len)
{
	put(q, io, op, (struct operation){OP_DISCARD, 0, (uint32_t)len, offset, 0, 0, 0, NULL});
}

int ub_io_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		  uint32_t len)
{
	(void)io;
	memcpy(q->data + data, from, len);
	return 0;
}

int ub_io_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	(void)io;
	memcpy(to, q->data + data, len);
	return 0;
}

int ub_io_copy_zeroes_to(struct ub_queue *q, struct ub_io *io, uint32_t data, uint32_t len)
{
	(void)io;
	memset(q->data + data, 0, len);
	return 0;
}

void ub_io_end(struct ub_queue *q, struct ub_io *io, int error)
{
	size_t i = (size_t)(io - q->ios);

	assert_int_equal(io->pending, 0);
	assert_true(error <= 0);
	q->ends[i]++;
	q->results[i] = error;
	/* As another queue would, which keeps a list of its own by then. */
	io->next = NULL;
}

struct ub_tgt *ub_queue_target(struct ub_queue *q)
{
	return q->tgt;
}

void *ub_queue_state(struct ub_queue *q)
{
	return q->own.state;
}

/* What a target of the test builds keeps; none of these tests has it. */
void *ub_io_state(struct ub_queue *q, const struct ub_io *io)
{
	(void)q;
	(void)io;
	return NULL;
}

static inline int execute(struct ub_queue *q, const struct operation *op)
{
	static char zeroes[UB_ZEROES_MAX] __attribute__((aligned(4096)));
	char *data = op->what == OP_ZEROES ? zeroes : q->data + op->data;
	struct iovec iov = {data, op->len};
	uint64_t range[2] = {op->offset, op->len};
	int fd = op->file < q->tgt->nr_files ? q->tgt->files[op->file]
					     : q->own.files[op->file - q->tgt->nr_files];
	int durable = op->word & UB_OP_DURABLE ? RWF_DSYNC : 0;
	ssize_t ret = 0;

	switch (op->what) {
	case OP_READ:
		ret = pread(fd, data, op->len, (off_t)op->offset);
		break;
	case OP_WRITE:
	case OP_ZEROES:
		ret = pwritev2(fd, &iov, 1, (off_t)op->offset, durable);
		break;
	case OP_SYNC:
		ret = fdatasync(fd);
		break;
	case OP_FALLOCATE:
		ret = fallocate(fd, op->mode, (off_t)op->offset, op->len);
		break;
	case OP_DISCARD:
		ret = ioctl(fd, BLKDISCARD, range);
		break;
	}
	return ret < 0 ? -errno : (int)ret;
}

static inline unsigned pending(const struct ub_queue *q)
{
	return q->nr_ops - q->nr_done;
}

/* Does the oldest operation that is on the ring. */
static inline void step(struct ub_queue *q)
{
	const struct fate *fate = &q->fates[q->nr_done];
	struct operation op = q->log[q->nr_done++];
	int res;

	if (fate->kind == CUT)
		op.len = (uint32_t)fate->value;
	res = fate->kind == RETURN ? fate->value : execute(q, &op);
	op.io->pending--;
	q->tgt->type->complete(q, op.io, op.word >> 8 & 0xff, res);
}

/* The @nth I/O, beside those that are under way. */
static inline void begin_beside(struct ub_queue *q, unsigned nth, uint8_t op, uint64_t offset,
				uint32_t len, uint32_t flags)
{
	struct ub_io *io = &q->ios[nth];

	*io = (struct ub_io){.op = op, .offset = offset, .len = len, .flags = flags};
	q->ends[nth] = 0;
	q->results[nth] = UNTOUCHED;
	q->tgt->type->submit(q, io);
}

static inline void begin(struct ub_queue *q, uint8_t op, uint64_t offset, uint32_t len,
			 uint32_t flags)
{
	q->nr_ops = q->nr_done = 0;
	begin_beside(q, 0, op, offset, len, flags);
}

static inline void finish_all(struct ub_queue *q)
{
	while (pending(q))
		step(q);
	memset(q->fates, 0, sizeof(q->fates));
}

/* One whole I/O. Return: what the client gets. The fates are used up. */
static inline int run(struct ub_queue *q, uint8_t op, uint64_t offset, uint32_t len, uint32_t flags)
{
	begin(q, op, offset, len, flags);
	finish_all(q);
	assert_int_equal(q->ends[0], 1);
	return q->results[0];
}

#define DATA_SIZE (4U << 20)

static inline void queue_init(struct ub_queue *q, struct ub_tgt *tgt)
{
	memset(q, 0, sizeof(*q));
	q->tgt = tgt;
	q->own.state = calloc(1, tgt->type->queue_size + 1);
	assert_non_null(q->own.state);
	if (tgt->type->queue_open)
		assert_int_equal(tgt->type->queue_open(tgt, &q->own, NULL), 0);
	assert_int_equal(posix_memalign((void **)&q->data, 4096, DATA_SIZE), 0);
	memset(q->data, 0, DATA_SIZE);
}

static inline void queue_done(struct ub_queue *q)
{
	ub_tgt_close_queue(q->tgt, &q->own);
	free(q->own.state);
	free(q->data);
}

/* A pattern that differs from byte to byte and from @seed to @seed. */
static inline void fill(char *data, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (char)((i * 2654435761U + seed * 97) >> 13 | 1);
}

static inline bool is_filled(const char *data, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != (char)((i * 2654435761U + seed * 97) >> 13 | 1))
			return false;
	return true;
}

static inline bool is_zero(const char *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}
