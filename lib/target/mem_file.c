/* SPDX-License-Identifier: MIT */
/*
 * The memory of the mem target: a file of it, so that an upgrade can hand it over to another server, mapped
 * where it can grow. A lock on the file tells the next server when this one has written its last.
 */
#include "target/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "memory/space.h"

/* Far below whatever else a process has, and far above its heap's start: it can grow where it is, since
 * nothing is put behind it. Where there are no such addresses, it is put elsewhere, and may not. */
#define PLACE ((void *)(uintptr_t)0x200000000000)
/* What is counted as the server's at once, which keeps its main thread for a few milliseconds. */
#define SETTLE_BYTES ((size_t)64 << 20)

/* From Linux 5.14, newer than some headers. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* What the server before has written. */
static int find_written(struct ub_mem *m)
{
	off_t hole = 0, data = 0;

	while ((size_t)hole < m->size && (data = lseek(m->fd, hole, SEEK_DATA)) >= 0 &&
	       (size_t)data < m->size) {
		hole = lseek(m->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if ((size_t)hole > m->size)
			hole = (off_t)m->size;
		ub_mem_set_written(m, (uint64_t)data / m->page,
				   ub_mem_whole_pages(m, (uint64_t)hole) / m->page);
	}
	return data >= 0 || errno == ENXIO ? 0 : -errno;
}

/* Pages that were handed over count as this process's when it has touched them. */
bool ub_mem_settle(struct ub_tgt *tgt)
{
	struct ub_mem *m = tgt->state;
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
static int map_data(struct ub_mem *m, uint64_t size)
{
	size_t bits = (size_t)ub_mem_bits_of(m, size), all;
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

int ub_mem_hand_over(struct ub_tgt *tgt)
{
	return open_again(((const struct ub_mem *)tgt->state)->fd);
}

/* What the server before has handed over, as soon as that one is gone. */
static int take_over(struct ub_mem *m, int file, uint64_t size, struct ub_error *err)
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

int ub_mem_map(struct ub_mem *m, const struct ub_open_request *req, uint64_t size,
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

void ub_mem_unmap(struct ub_mem *m)
{
	/* The next server does not wait until all pages are unmapped. */
	if (m->fd >= 0)
		(void)flock(m->fd, LOCK_UN);
	if (m->data)
		(void)munmap(m->data - m->bits, m->bits + m->size);
	m->data = NULL;
	ub_close(&m->fd);
}

void ub_mem_tell(struct ub_tgt *tgt)
{
	const struct ub_mem *m = tgt->state;
	uint64_t size = m->data ? m->size : tgt->size;

	tgt->memory = m->data ? m->data - m->bits : NULL;
	tgt->memory_size = ub_mem_bits_of(m, size) + size;
}

/* Below those that are there. */
static int make_bits(struct ub_mem *m, uint64_t size)
{
	uint64_t bits = ub_mem_bits_of(m, size);
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
int ub_mem_make_room(struct ub_tgt *tgt, uint64_t size)
{
	struct ub_mem *m = tgt->state;
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
	ub_mem_tell(tgt);
	return 0;
}

void ub_mem_shrink(struct ub_tgt *tgt)
{
	struct ub_mem *m = tgt->state;
	uint64_t last = ub_mem_whole_pages(m, tgt->size), end = ub_mem_whole_pages(m, m->size);
	size_t bits = (size_t)ub_mem_bits_of(m, tgt->size);

	if (tgt->limit > tgt->size || tgt->size >= m->size)
		return;
	/* What it grows by later reads as zeroes. */
	ub_mem_zero(m, tgt->size, m->size < last ? m->size : last);
	ub_mem_set_unwritten(m, last / m->page, end / m->page);
	if (last < end)
		(void)munmap(m->data + last, end - last);
	(void)!ftruncate(m->fd, (off_t)tgt->size);
	if (m->bits > bits)
		(void)munmap(m->data - m->bits, m->bits - bits);
	m->size = (size_t)tgt->size;
	m->bits = bits;
	ub_mem_tell(tgt);
}
