/* SPDX-License-Identifier: MIT */
/*
 * The target `mem`: a device in the server's memory. Pages come with the first write to them and go
 * with a discard; the data dies with the server. Requests are copied, so they end in submit().
 *
 * A file's page comes with a read, too, so what was never written is read as zeroes from elsewhere.
 */
#include "target/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/uapi.h"

#define DEFAULT_BLOCK 512U

struct mem_args {
	uint64_t size;
};

static const struct ub_opt options[] = {
	{
		.name = "size",
		.changed_by = "ublk resize",
		.type = UB_OPT_SIZE,
		.offset = offsetof(struct mem_args, size),
		.metavar = "SIZE",
		.help = "size of the device; memory is taken as it is written",
		.min = DEFAULT_BLOCK,
		.required = 1,
	},
	UB_OPT_END,
};

static int mem_check(const void *args, struct ub_error *err)
{
	if (((const struct mem_args *)args)->size == 0)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "missing the size");
	return 0;
}

static uint64_t mem_memory(uint64_t size)
{
	const struct ub_mem m = {.page = (uint64_t)sysconf(_SC_PAGESIZE)};

	return ub_mem_bits_of(&m, size) + size;
}

static int mem_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err)
{
	struct mem_args *a = args;
	struct ub_mem *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	if (m)
		*m = (struct ub_mem){.fd = -1, .page = (uint64_t)sysconf(_SC_PAGESIZE)};
	tgt->state = m;
	tgt->logical_block_size = req->logical_block_size ? req->logical_block_size : DEFAULT_BLOCK;
	if (!m)
		(void)ub_fail(err, UB_STAGE_MEMORY, ret, "cannot serve memory");
	else
		ret = ub_tgt_set_size(tgt, req->size ? req->size : a->size, notes, err);
	if (ret == 0 && !req->probe)
		ret = ub_mem_map(m, req, tgt->size, err);
	if (ret < 0) {
		ub_tgt_close(tgt);
		return ret;
	}
	if (req->size)
		a->size = tgt->size;
	ub_mem_tell(tgt);
	tgt->physical_block_size = (uint32_t)m->page;
	tgt->read_only = req->read_only;
	tgt->write_zeroes = !tgt->read_only;
	if (!tgt->read_only && !req->no_discard)
		tgt->discard_granularity = (uint32_t)m->page;
	return 0;
}

static void mem_close(struct ub_tgt *tgt)
{
	struct ub_mem *m = tgt->state;

	if (m)
		ub_mem_unmap(m);
	free(m);
	tgt->state = NULL;
}

/*
 * Whole pages are given back, with NOUNMAP too: nothing was reserved that could be kept. @exact:
 * the parts of pages at both ends become zeroes as well.
 */
static int clear(struct ub_mem *m, uint64_t offset, uint64_t len, bool exact)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + m->page - 1) / m->page;
	uint64_t last = end / m->page;

	if (first > last) {
		if (exact)
			ub_mem_zero(m, offset, end);
		return 0;
	}
	if (first < last &&
	    (ub_mem_is_written(m, first) || ub_mem_end_of_run(m, first, last, false) < last)) {
		/* In this order: what is written meanwhile has its bit, whether it is still there or not. */
		ub_mem_set_unwritten(m, first, last);
		if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)(first * m->page), (off_t)((last - first) * m->page)) != 0)
			return -errno;
	}
	if (exact) {
		ub_mem_zero(m, offset, first * m->page);
		ub_mem_zero(m, last * m->page, end);
	}
	return 0;
}

static int read_data(struct ub_queue *q, struct ub_io *io, const struct ub_mem *m)
{
	uint64_t at = io->offset, end = at + io->len;
	int ret = 0;

	while (at < end && !ret) {
		uint64_t page = at / m->page, last = ub_mem_whole_pages(m, end) / m->page;
		bool written = ub_mem_is_written(m, page);
		uint64_t next = ub_mem_end_of_run(m, page, last, written) * m->page;
		uint32_t data = (uint32_t)(at - io->offset);
		uint32_t len = (uint32_t)((next < end ? next : end) - at);

		ret = written ? ub_io_copy_to(q, io, data, m->data + at, len)
			      : ub_io_copy_zeroes_to(q, io, data, len);
		at += len;
	}
	return ret;
}

static int write_data(struct ub_queue *q, struct ub_io *io, struct ub_mem *m)
{
	uint64_t first = io->offset / m->page;
	uint64_t end = ub_mem_whole_pages(m, io->offset + io->len) / m->page;

	if (m->strict &&
	    (!ub_mem_is_written(m, first) || ub_mem_end_of_run(m, first, end, true) < end) &&
	    fallocate(m->fd, FALLOC_FL_KEEP_SIZE, (off_t)(first * m->page),
		      (off_t)((end - first) * m->page)) != 0)
		return -errno;
	ub_mem_set_written(m, first, end);
	return ub_io_copy_from(q, io, 0, m->data + io->offset, io->len);
}

static void mem_submit(struct ub_queue *q, struct ub_io *io)
{
	struct ub_mem *m = ub_queue_target(q)->state;
	int ret = 0;

	switch (io->op) {
	case UBLK_IO_OP_READ:
		ret = read_data(q, io, m);
		break;
	case UBLK_IO_OP_WRITE:
		ret = write_data(q, io, m);
		break;
	case UBLK_IO_OP_DISCARD:
	case UBLK_IO_OP_WRITE_ZEROES:
		ret = clear(m, io->offset, io->len, io->op == UBLK_IO_OP_WRITE_ZEROES);
		break;
	case UBLK_IO_OP_FLUSH: /* there is no cache: what is written is as durable as it gets */
		break;
	default:
		ret = -EOPNOTSUPP;
	}
	ub_io_end(q, io, ret);
}

static void mem_resized(struct ub_tgt *tgt, void *args)
{
	((struct mem_args *)args)->size = tgt->size;
	ub_mem_shrink(tgt);
}

const struct ub_target ub_target_mem = {
	.name = "mem",
	.summary = "memory of the server; its data dies with it",
	.options = options,
	.args_size = sizeof(struct mem_args),
	.in_memory = true,
	.check = mem_check,
	.open = mem_open,
	.submit = mem_submit,
	.hand_over = ub_mem_hand_over,
	.settle = ub_mem_settle,
	.memory = mem_memory,
	.make_room = ub_mem_make_room,
	.resized = mem_resized,
	.close = mem_close,
};
