/* SPDX-License-Identifier: MIT */
/*
 * The target `mem`: a device in the server's memory. Pages come with the first write to them and go
 * with a discard; the data dies with the server. Requests are copied, so they end in submit().
 */
#include "target/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "kernel/uapi.h"
#include "memory/space.h"

#define DEFAULT_BLOCK 512U
/* Far below whatever else a process has, and far above its heap's start: it can grow where it is, since
 * nothing is put behind it. Where there are no such addresses, it is put elsewhere, and may not. */
#define PLACE ((void *)(uintptr_t)0x100000000000)

/* From Linux 5.18, newer than some headers. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

struct mem_args {
	uint64_t size;
};

struct mem {
	char *data;
	size_t size;
	uint64_t page;
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

static int map(struct mem *m, uint64_t size, struct ub_error *err)
{
	void *data = NULL;
	int ret;

	if (size > SIZE_MAX)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot map %llu bytes",
			       (unsigned long long)size);
	ret = ub_fault("mem");
	if (!ret) {
		data = mmap(PLACE, (size_t)size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ret = data == MAP_FAILED ? -errno : 0;
	}
	if (ret)
		return ub_fail(err, UB_STAGE_MEMORY, ret, "cannot map %llu bytes",
			       (unsigned long long)size);
	m->data = data;
	m->size = (size_t)size;
	/* Small pages: a write of 4 KiB takes 4 KiB, and a discard gives them back. */
	ub_memory_hint(data, m->size, "ublk mem");
	return 0;
}

static int mem_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err)
{
	struct mem_args *a = args;
	struct mem *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	tgt->state = m;
	tgt->logical_block_size = req->logical_block_size ? req->logical_block_size : DEFAULT_BLOCK;
	if (!m)
		(void)ub_fail(err, UB_STAGE_MEMORY, ret, "cannot serve memory");
	else
		ret = ub_tgt_set_size(tgt, a->size, notes, err);
	if (ret == 0 && !req->probe)
		ret = map(m, tgt->size, err);
	if (ret < 0) {
		ub_tgt_close(tgt);
		return ret;
	}
	tgt->memory = m->data;
	tgt->memory_size = tgt->size;
	m->page = (uint64_t)sysconf(_SC_PAGESIZE);
	tgt->physical_block_size = (uint32_t)m->page;
	tgt->read_only = req->read_only;
	tgt->write_zeroes = !tgt->read_only;
	if (!tgt->read_only && !req->no_discard)
		tgt->discard_granularity = (uint32_t)m->page;
	return 0;
}

static void mem_close(struct ub_tgt *tgt)
{
	struct mem *m = tgt->state;

	if (m && m->data)
		(void)munmap(m->data, m->size);
	free(m);
	tgt->state = NULL;
}

/* Pages given back read as zeroes. Return: whether they are gone. */
static bool give_back(char *from, size_t len)
{
	/* The second is for locked memory, which the first refuses. */
	return madvise(from, len, MADV_DONTNEED) == 0 ||
	       madvise(from, len, MADV_DONTNEED_LOCKED) == 0;
}

/*
 * Whole pages are given back, with NOUNMAP too: nothing was reserved that could be kept. @exact:
 * the parts of pages at both ends become zeroes as well.
 */
static void clear(struct mem *m, uint64_t offset, uint64_t len, bool exact)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + m->page - 1) / m->page * m->page;
	uint64_t last = end / m->page * m->page;

	if (first >= last) {
		if (exact)
			memset(m->data + offset, 0, len);
		return;
	}
	if (!give_back(m->data + first, last - first) && exact)
		memset(m->data + first, 0, last - first);
	if (exact) {
		memset(m->data + offset, 0, first - offset);
		memset(m->data + last, 0, end - last);
	}
}

static void mem_submit(struct ub_queue *q, struct ub_io *io)
{
	struct mem *m = ub_queue_target(q)->state;
	int ret = 0;

	switch (io->op) {
	case UBLK_IO_OP_READ:
		ret = ub_io_copy_to(q, io, 0, m->data + io->offset, io->len);
		break;
	case UBLK_IO_OP_WRITE:
		ret = ub_io_copy_from(q, io, 0, m->data + io->offset, io->len);
		break;
	case UBLK_IO_OP_DISCARD:
	case UBLK_IO_OP_WRITE_ZEROES:
		clear(m, io->offset, io->len, io->op == UBLK_IO_OP_WRITE_ZEROES);
		break;
	case UBLK_IO_OP_FLUSH: /* there is no cache: what is written is as durable as it gets */
		break;
	default:
		ret = -EOPNOTSUPP;
	}
	ub_io_end(q, io, ret);
}

static uint64_t whole_pages(const struct mem *m, uint64_t size)
{
	return (size + m->page - 1) / m->page * m->page;
}

/* Where it is: the queues use it. */
static int mem_make_room(struct ub_tgt *tgt, uint64_t size)
{
	struct mem *m = tgt->state;

	if (size <= m->size)
		return 0;
	if (size > SIZE_MAX || mremap(m->data, m->size, (size_t)size, 0) == MAP_FAILED)
		return size > SIZE_MAX ? -ENOMEM : -errno;
	m->size = (size_t)size;
	tgt->memory_size = size;
	return 0;
}

static void mem_resized(struct ub_tgt *tgt, void *args)
{
	struct mem *m = tgt->state;
	uint64_t last = whole_pages(m, tgt->size), end = whole_pages(m, m->size);

	((struct mem_args *)args)->size = tgt->size;
	if (tgt->limit > tgt->size || tgt->size >= m->size)
		return;
	/* What it grows by later reads as zeroes. */
	memset(m->data + tgt->size, 0, (m->size < last ? m->size : last) - tgt->size);
	if (last < end)
		(void)munmap(m->data + last, end - last);
	m->size = (size_t)tgt->size;
	tgt->memory_size = tgt->size;
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
	.make_room = mem_make_room,
	.resized = mem_resized,
	.close = mem_close,
};
