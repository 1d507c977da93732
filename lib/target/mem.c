/* SPDX-License-Identifier: MIT */
/*
 * The target `mem`: a device in the server's memory. Pages come with the first write to them and go
 * with a discard; the data dies with the server. Requests are copied, so they end in submit().
 *
 * It is a memory file, so that an upgrade can hand it over to another server. A file's page comes with a
 * read, too, so of each page is known whether it was written: what was not is read as zeroes from
 * elsewhere. Those bits lie below the data, the first ones next to it, and grow downwards as that grows
 * upwards.
 */
#include "target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "kernel/uapi.h"
#include "memory/space.h"

#define DEFAULT_BLOCK 512U
/* Far below whatever else a process has, and far above its heap's start: it can grow where it is, since
 * nothing is put behind it. Where there are no such addresses, it is put elsewhere, and may not. */
#define PLACE ((void *)(uintptr_t)0x200000000000)
#define WORD_BITS 64U
/* What is counted as the server's at once, which keeps its main thread for a few milliseconds. */
#define SETTLE_BYTES ((size_t)64 << 20)

/* From Linux 5.14, newer than some headers. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

struct mem_args {
	uint64_t size;
};

struct mem {
	char *data; /* NULL: not mapped */
	size_t size;
	size_t bits; /* bytes of them, whole pages */
	uint64_t page;
	int fd;         /* locked while it is served; at least as long as the data */
	bool lock;      /* what is mapped later is to be locked, too */
	bool strict;    /* the kernel may have no page for a first write */
	size_t settled; /* up to there settle() has been */
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

static uint64_t whole_pages(const struct mem *m, uint64_t size)
{
	return (size + m->page - 1) / m->page * m->page;
}

/* Bytes of the bits of a device of that size. */
static uint64_t bits_of(const struct mem *m, uint64_t size)
{
	uint64_t words = (whole_pages(m, size) / m->page + WORD_BITS - 1) / WORD_BITS;

	return whole_pages(m, words * sizeof(uint64_t));
}

static uint64_t mem_memory(uint64_t size)
{
	const struct mem m = {.page = (uint64_t)sysconf(_SC_PAGESIZE)};

	return bits_of(&m, size) + size;
}

static _Atomic uint64_t *word_of(const struct mem *m, uint64_t page)
{
	return (_Atomic uint64_t *)(void *)m->data - 1 - page / WORD_BITS;
}

/* The bits of one word, of the pages from @page up to @end. */
static uint64_t mask_of(uint64_t page, uint64_t end)
{
	uint64_t first = page % WORD_BITS, count = end - page;

	return count >= WORD_BITS - first ? ~0ULL << first : ((1ULL << count) - 1) << first;
}

static uint64_t next_word(uint64_t page, uint64_t end)
{
	uint64_t next = (page / WORD_BITS + 1) * WORD_BITS;

	return next < end ? next : end;
}

/* Of the pages from @page up to @end, before what is written to them. */
static void set_written(struct mem *m, uint64_t page, uint64_t end)
{
	for (; page < end; page = next_word(page, end)) {
		uint64_t mask = mask_of(page, end);

		if (mask & ~atomic_load_explicit(word_of(m, page), memory_order_relaxed))
			atomic_fetch_or_explicit(word_of(m, page), mask, memory_order_relaxed);
	}
}

static void set_unwritten(struct mem *m, uint64_t page, uint64_t end)
{
	for (; page < end; page = next_word(page, end))
		atomic_fetch_and_explicit(word_of(m, page), ~mask_of(page, end),
					  memory_order_relaxed);
}

static bool is_written(const struct mem *m, uint64_t page)
{
	return atomic_load_explicit(word_of(m, page), memory_order_relaxed) >> page % WORD_BITS & 1;
}

/* Return: the end of the pages from @page on that have been @written or not, as that one, at most @end. */
static uint64_t end_of_run(const struct mem *m, uint64_t page, uint64_t end, bool written)
{
	/* That one may be another's by now. */
	for (page++; page < end; page = next_word(page, end)) {
		uint64_t word = atomic_load_explicit(word_of(m, page), memory_order_relaxed);
		uint64_t others = (written ? ~word : word) & mask_of(page, end);

		if (others)
			return page / WORD_BITS * WORD_BITS + (uint64_t)__builtin_ctzll(others);
	}
	return end;
}

/* What the server before has written. */
static int find_written(struct mem *m)
{
	off_t hole = 0, data = 0;

	while ((size_t)hole < m->size && (data = lseek(m->fd, hole, SEEK_DATA)) >= 0 &&
	       (size_t)data < m->size) {
		hole = lseek(m->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if ((size_t)hole > m->size)
			hole = (off_t)m->size;
		set_written(m, (uint64_t)data / m->page, whole_pages(m, (uint64_t)hole) / m->page);
	}
	return data >= 0 || errno == ENXIO ? 0 : -errno;
}

/* Pages that were handed over count as this process's when it has touched them. */
static bool mem_settle(struct ub_tgt *tgt)
{
	struct mem *m = tgt->state;
	size_t end = m->size > SETTLE_BYTES && m->settled < m->size - SETTLE_BYTES
			     ? m->settled + SETTLE_BYTES
			     : m->size;

	while (m->settled < end) {
		off_t data = lseek(m->fd, (off_t)m->settled, SEEK_DATA);
		off_t hole = data < 0 ? data : lseek(m->fd, data, SEEK_HOLE);

		if (hole < 0 || (size_t)data >= end) {
			m->settled = hole < 0 ? m->size : end;
			break;
		}
		m->settled = (size_t)hole < end ? (size_t)hole : end;
		(void)madvise(m->data + data, m->settled - (size_t)data, MADV_POPULATE_READ);
	}
	return m->settled < m->size;
}

/* Small pages: a write of 4 KiB takes 4 KiB, and a discard gives them back. */
static int map_data(struct mem *m, uint64_t size)
{
	size_t bits = (size_t)bits_of(m, size), all;
	char *base;

	if (size > SIZE_MAX || __builtin_add_overflow(bits, (size_t)size, &all))
		return -ENOMEM;
	base = mmap((char *)PLACE - bits, all, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	if (mmap(base + bits, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
		 0) == MAP_FAILED) {
		int ret = -errno;

		(void)munmap(base, all);
		return ret;
	}
	m->data = base + bits;
	m->size = m->settled = (size_t)size;
	m->bits = bits;
	ub_memory_hint(base, all, "ublk mem");
	return 0;
}

/* With vm.overcommit_memory=2 a file's pages are accounted as they come, and one that can't be had would kill
 * whoever writes to it. */
static bool is_strict(void)
{
	_cleanup_close_ int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	char mode = '0';

	return fd >= 0 && read(fd, &mode, 1) == 1 && mode == '2';
}

static int make_file(uint64_t size)
{
	_cleanup_close_ int fd = memfd_create("ublk mem", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return -errno;
	return UB_TAKE_FD(fd);
}

/* Another description of it: what is locked by one is not by the other. Return: it, or a negative errno. */
static int open_again(int file)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int mem_hand_over(struct ub_tgt *tgt)
{
	return open_again(((const struct mem *)tgt->state)->fd);
}

/* What the server before has handed over, as soon as that one is gone. */
static int take_over(struct mem *m, int file, uint64_t size, struct ub_error *err)
{
	struct stat st;

	if (file < 0)
		return ub_fail_text(err, UB_STAGE_BACKING, -ENODATA,
				    "cannot serve what was in memory: it has died with its server");
	m->fd = open_again(file);
	if (m->fd < 0)
		return ub_fail(err, UB_STAGE_MEMORY, m->fd, "cannot open what was handed over");
	if (flock(m->fd, LOCK_EX | LOCK_NB) != 0)
		return ub_fail_text(err, UB_STAGE_LOCK, errno == EWOULDBLOCK ? -EBUSY : -errno,
				    "cannot take the memory over: the server before still has it");
	/* A device that has grown in between; one that is to shrink keeps all until that is sure. */
	if (fstat(m->fd, &st) != 0 ||
	    ((uint64_t)st.st_size < size && ftruncate(m->fd, (off_t)size) != 0))
		return ub_fail(err, UB_STAGE_MEMORY, -errno, "cannot lengthen the memory");
	return 0;
}

static int map(struct mem *m, const struct ub_open_request *req, uint64_t size,
	       struct ub_error *err)
{
	int ret = ub_fault("mem");

	if (!ret && req->recovers) {
		ret = take_over(m, req->memory, size, err);
		if (ret)
			return ret;
	} else if (!ret) {
		m->fd = make_file(size);
		ret = m->fd < 0 ? m->fd : 0;
		if (!ret && flock(m->fd, LOCK_EX | LOCK_NB) != 0)
			ret = -errno;
	}
	if (!ret)
		ret = map_data(m, size);
	m->lock = req->lock;
	m->strict = is_strict();
	if (!ret && req->recovers) {
		ret = find_written(m);
		m->settled = 0;
	}
	return ret ? ub_fail(err, UB_STAGE_MEMORY, ret, "cannot map %llu bytes",
			     (unsigned long long)size)
		   : 0;
}

static void tell_memory(struct ub_tgt *tgt)
{
	const struct mem *m = tgt->state;

	tgt->memory = m->data ? m->data - m->bits : NULL;
	tgt->memory_size = mem_memory(m->data ? m->size : tgt->size);
}

static int mem_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err)
{
	struct mem_args *a = args;
	struct mem *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	if (m)
		*m = (struct mem){.fd = -1, .page = (uint64_t)sysconf(_SC_PAGESIZE)};
	tgt->state = m;
	tgt->logical_block_size = req->logical_block_size ? req->logical_block_size : DEFAULT_BLOCK;
	if (!m)
		(void)ub_fail(err, UB_STAGE_MEMORY, ret, "cannot serve memory");
	else
		ret = ub_tgt_set_size(tgt, req->size ? req->size : a->size, notes, err);
	if (ret == 0 && !req->probe)
		ret = map(m, req, tgt->size, err);
	if (ret < 0) {
		ub_tgt_close(tgt);
		return ret;
	}
	if (req->size)
		a->size = tgt->size;
	tell_memory(tgt);
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

	/* The next server does not wait until all pages are unmapped. */
	if (m && m->fd >= 0)
		(void)flock(m->fd, LOCK_UN);
	if (m && m->data)
		(void)munmap(m->data - m->bits, m->bits + m->size);
	if (m)
		ub_close(&m->fd);
	free(m);
	tgt->state = NULL;
}

/* Of what was never written nothing is there that could be zeroed. */
static void zero(struct mem *m, uint64_t offset, uint64_t end)
{
	if (offset < end && is_written(m, offset / m->page))
		memset(m->data + offset, 0, end - offset);
}

/*
 * Whole pages are given back, with NOUNMAP too: nothing was reserved that could be kept. @exact:
 * the parts of pages at both ends become zeroes as well.
 */
static int clear(struct mem *m, uint64_t offset, uint64_t len, bool exact)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + m->page - 1) / m->page;
	uint64_t last = end / m->page;

	if (first > last) {
		if (exact)
			zero(m, offset, end);
		return 0;
	}
	if (first < last && (is_written(m, first) || end_of_run(m, first, last, false) < last)) {
		/* In this order: what is written meanwhile has its bit, whether it is still there or not. */
		set_unwritten(m, first, last);
		if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)(first * m->page), (off_t)((last - first) * m->page)) != 0)
			return -errno;
	}
	if (exact) {
		zero(m, offset, first * m->page);
		zero(m, last * m->page, end);
	}
	return 0;
}

static int read_data(struct ub_queue *q, struct ub_io *io, const struct mem *m)
{
	uint64_t at = io->offset, end = at + io->len;
	int ret = 0;

	while (at < end && !ret) {
		uint64_t page = at / m->page, last = whole_pages(m, end) / m->page;
		bool written = is_written(m, page);
		uint64_t next = end_of_run(m, page, last, written) * m->page;
		uint32_t data = (uint32_t)(at - io->offset);
		uint32_t len = (uint32_t)((next < end ? next : end) - at);

		ret = written ? ub_io_copy_to(q, io, data, m->data + at, len)
			      : ub_io_copy_zeroes_to(q, io, data, len);
		at += len;
	}
	return ret;
}

static int write_data(struct ub_queue *q, struct ub_io *io, struct mem *m)
{
	uint64_t first = io->offset / m->page;
	uint64_t end = whole_pages(m, io->offset + io->len) / m->page;

	if (m->strict && (!is_written(m, first) || end_of_run(m, first, end, true) < end) &&
	    fallocate(m->fd, FALLOC_FL_KEEP_SIZE, (off_t)(first * m->page),
		      (off_t)((end - first) * m->page)) != 0)
		return -errno;
	set_written(m, first, end);
	return ub_io_copy_from(q, io, 0, m->data + io->offset, io->len);
}

static void mem_submit(struct ub_queue *q, struct ub_io *io)
{
	struct mem *m = ub_queue_target(q)->state;
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

/* Below those that are there. */
static int make_bits(struct mem *m, uint64_t size)
{
	uint64_t bits = bits_of(m, size);
	size_t more = (size_t)bits - m->bits;
	char *base = m->data - bits;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE |
		    (m->lock ? MAP_LOCKED : 0);

	if (bits <= m->bits)
		return 0;
	/* Where it could not be put at its place, something else may lie there. */
	if (bits > SIZE_MAX || mmap(base, more, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		return -ENOMEM;
	ub_memory_hint(base, more, "ublk mem");
	m->bits += more;
	return 0;
}

/* Where it is: the queues use it. */
static int mem_make_room(struct ub_tgt *tgt, uint64_t size)
{
	struct mem *m = tgt->state;
	int ret;

	if (size <= m->size)
		return 0;
	ret = size > SIZE_MAX ? -ENOMEM : make_bits(m, size);
	/* What lies behind the data is none: of a device that was to be larger, and never was. */
	if (!ret && (ftruncate(m->fd, (off_t)m->size) != 0 || ftruncate(m->fd, (off_t)size) != 0))
		ret = errno == EFBIG ? -ENOMEM : -errno;
	if (!ret && mremap(m->data, m->size, (size_t)size, 0) == MAP_FAILED) {
		ret = -errno;
		(void)!ftruncate(m->fd, (off_t)m->size);
	}
	if (ret)
		return ret;
	m->size = (size_t)size;
	tell_memory(tgt);
	return 0;
}

static void mem_resized(struct ub_tgt *tgt, void *args)
{
	struct mem *m = tgt->state;
	uint64_t last = whole_pages(m, tgt->size), end = whole_pages(m, m->size);
	size_t bits = (size_t)bits_of(m, tgt->size);

	((struct mem_args *)args)->size = tgt->size;
	if (tgt->limit > tgt->size || tgt->size >= m->size)
		return;
	/* What it grows by later reads as zeroes. */
	zero(m, tgt->size, m->size < last ? m->size : last);
	set_unwritten(m, last / m->page, end / m->page);
	if (last < end)
		(void)munmap(m->data + last, end - last);
	(void)!ftruncate(m->fd, (off_t)tgt->size);
	if (m->bits > bits)
		(void)munmap(m->data - m->bits, m->bits - bits);
	m->size = (size_t)tgt->size;
	m->bits = bits;
	tell_memory(tgt);
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
	.hand_over = mem_hand_over,
	.settle = mem_settle,
	.memory = mem_memory,
	.make_room = mem_make_room,
	.resized = mem_resized,
	.close = mem_close,
};
