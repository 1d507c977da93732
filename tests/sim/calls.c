/* SPDX-License-Identifier: MIT */
/*
 * The ways by which lib/queue reaches the kernel: liburing's functions, which are these here, and
 * system calls, which the linker leads here (--wrap). What is not a queue's goes on to the real one.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

long __wrap_syscall(long number, ...);
int __wrap_madvise(void *addr, size_t len, int advice);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t pos);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_eventfd_write(int fd, eventfd_t value);
int __wrap_fdatasync(int fd);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_madvise(void *addr, size_t len, int advice);

int io_uring_queue_init_params(unsigned entries, struct io_uring *uring, struct io_uring_params *p)
{
	return ring_make(uring, entries, p);
}

void io_uring_queue_exit(struct io_uring *uring)
{
	ring_free(ring_of(uring));
}

int io_uring_enable_rings(struct io_uring *uring)
{
	ring_of(uring)->enabled = true;
	return 0;
}

int io_uring_register_ring_fd(struct io_uring *uring)
{
	(void)uring;
	return 1;
}

int io_uring_register_iowq_aff(struct io_uring *uring, size_t size, const cpu_set_t *mask)
{
	(void)uring;
	(void)size;
	(void)mask;
	return 0;
}

int io_uring_register_buffers_sparse(struct io_uring *uring, unsigned nr)
{
	if (nr > SLOTS_MAX)
		return -EINVAL;
	ring_of(uring)->nr_slots = nr;
	return 0;
}

int io_uring_register_files(struct io_uring *uring, const int *files, unsigned nr)
{
	struct ring *r = ring_of(uring);

	if (nr > FILES_MAX)
		return -EMFILE;
	memcpy(r->files, files, nr * sizeof(*files));
	r->nr_files = nr;
	return 0;
}

int io_uring_register_buf_ring(struct io_uring *uring, struct io_uring_buf_reg *reg, unsigned flags)
{
	struct ring *r = ring_of(uring);

	(void)flags;
	r->buffers = (void *)(uintptr_t)reg->ring_addr;
	r->buffers_mask = (uint16_t)(reg->ring_entries - 1);
	return 0;
}

/* What io_uring_wait_cqe() comes to when there is none. */
int __io_uring_get_cqe(struct io_uring *uring, struct io_uring_cqe **ret_cqe, unsigned submit,
		       unsigned wait_nr, sigset_t *mask)
{
	struct ring *r = ring_of(uring);
	int ret;

	(void)mask;
	do
		ret = ring_enter(r, submit, wait_nr);
	while (ret == -EINTR);
	if (ret < 0)
		return ret;
	*ret_cqe = &r->cqes[r->cq_head & (r->cq_entries - 1)];
	return 0;
}

static long fail(int error)
{
	errno = -error;
	return -1;
}

long __wrap_syscall(long number, ...)
{
	unsigned to_submit, wanted;
	va_list ap;
	int ret;

	if (number != SYS_io_uring_enter)
		return fail(-EPERM);
	va_start(ap, number);
	(void)va_arg(ap, int);
	to_submit = va_arg(ap, unsigned);
	wanted = va_arg(ap, unsigned);
	va_end(ap);
	ret = ring_enter(sim.current->ring, to_submit, wanted);
	return ret < 0 ? fail(ret) : ret;
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (advice != MADV_DONTNEED)
		return __real_madvise(addr, len, advice);
	oracle_given_back(addr, len);
	return 0;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos)
{
	ssize_t ret = fd == driver_char_fd() ? driver_user_copy(buf, len, pos, false) : -EBADF;

	return ret < 0 ? fail((int)ret) : ret;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t pos)
{
	ssize_t ret = fd == driver_char_fd()
			      ? driver_user_copy((void *)(uintptr_t)buf, len, pos, true)
			      : -EBADF;

	return ret < 0 ? fail((int)ret) : ret;
}

/* An operation on the backing that the thread does not give to its ring. */
static int call(int fd, const struct io_uring_sqe *sqe)
{
	int ret = backing_call(fd, sqe);

	return ret < 0 ? (int)fail(ret) : ret;
}

int __wrap_fdatasync(int fd)
{
	return call(fd, &(struct io_uring_sqe){.opcode = IORING_OP_FSYNC});
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
	return call(fd, &(struct io_uring_sqe){
				.opcode = IORING_OP_FALLOCATE,
				.off = (uint64_t)offset,
				.addr = (uint64_t)len,
				.len = (unsigned)mode,
			});
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const uint64_t *range;
	va_list ap;

	va_start(ap, request);
	range = va_arg(ap, const uint64_t *);
	va_end(ap);
	if (request != BLKDISCARD)
		object("an ioctl %lx", request);
	return call(fd, &(struct io_uring_sqe){
				.opcode = IORING_OP_URING_CMD,
				.addr = range[0],
				.addr3 = range[1],
			});
}

/* Time goes on by itself, as the polling of a ring has it; or by leaps, if all this takes long. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	(void)clock;
	sim.clock_ns += 1000 + below(8000);
	if (chance(sim.config.slow)) {
		sim.injected++;
		sim.clock_ns += between(1, 40) * 1000000000ULL;
	}
	if (sim.current)
		pause_here(true);
	*ret_time = (struct timespec){.tv_sec = (time_t)(sim.clock_ns / 1000000000U),
				      .tv_nsec = (long)(sim.clock_ns % 1000000000U)};
	return 0;
}

int __wrap_eventfd_write(int fd, eventfd_t value)
{
	(void)fd;
	(void)value;
	return 0;
}
