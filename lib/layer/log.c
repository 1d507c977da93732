/* SPDX-License-Identifier: MIT */
/*
 * The layer `log`: notes each I/O in a file of a bounded size (io_log.h). A thread gathers its records in
 * memory of its own, and writes those that are there as soon as what it wrote before has been written: so
 * one at a time when little happens, and many at once when much does. If the file is too slow for that, some
 * are left out, and no I/O waits.
 */
#include "layer/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "kernel/uapi.h"
#include "layer/io_log.h"

#define HALF 64U /* records that a thread gathers while as many are written */

struct log_args {
	char *file;
	uint64_t size;
};

struct log {
	int fd;
	uint64_t places;
	_Atomic uint64_t next; /* place */
	_Atomic uint64_t left_out;
};

/* Of a thread. */
struct log_queue {
	struct ub_io_log_record half[2][HALF];
	uint64_t at;       /* place of what is being written */
	uint16_t count[2]; /* records in each */
	uint8_t filling;   /* which of them; the other one may be with the kernel */
	bool writing;
};

/* Of an I/O. */
struct log_io {
	uint64_t began_ns, wall_ns;
	bool fua; /* as it came */
};

#define AT(field) .offset = offsetof(struct log_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "file", .type = UB_OPT_STRING, AT(file), .metavar = "FILE", .completer = "file",
	  .required = 1, .help = "where they are noted; `ublk log FILE` prints it" },
	{ .name = "size", .type = UB_OPT_SIZE, AT(size), .metavar = "SIZE", .min = 64 << 10,
	  .max = 1ULL << 30, .help = "bytes of it at the most; the oldest go (default: 16M)" },
	UB_OPT_END,
};
/* clang-format on */

static void log_defaults(void *args)
{
	((struct log_args *)args)->size = 16U << 20;
}

static int log_check(const void *args, struct ub_error *err)
{
	const struct log_args *a = args;

	return a->file ? 0 : ub_fail_usage(err, "layer log: it needs a file");
}

static const char *log_file(const void *args)
{
	return ((const struct log_args *)args)->file;
}

static off_t position(uint64_t place)
{
	return (off_t)(UB_IO_LOG_HEAD + place * sizeof(struct ub_io_log_record));
}

/* Behind the newest record, where no server has said at its end what comes next. Return: 0 or a negative
 * errno. */
static int find_next(struct log *log)
{
	struct ub_io_log_record chunk[1024];
	uint64_t time = 0, place = 0;
	ssize_t n;

	log->next = 0;
	while (place < log->places &&
	       (n = pread(log->fd, chunk, sizeof(chunk), position(place))) != 0) {
		if (n < 0)
			return -errno;
		for (size_t i = 0; i < (size_t)n / sizeof(*chunk); i++, place++)
			if (chunk[i].began_ns > time) {
				time = chunk[i].began_ns;
				log->next = (place + 1) % log->places;
			}
		if ((size_t)n < sizeof(chunk))
			break;
	}
	return 0;
}

/* @next: the place that comes next, if it is known; else UB_IO_LOG_UNKNOWN. Return: 0 or a negative errno. */
static int write_head(struct log *log, uint64_t next)
{
	const struct ub_io_log_head head = {.magic = UB_IO_LOG_MAGIC,
					    .version = UB_IO_LOG_VERSION,
					    .record_size = sizeof(struct ub_io_log_record),
					    .places = log->places,
					    .next = next,
					    .left_out = log->left_out};

	errno = EIO;
	return pwrite(log->fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) ? 0 : -errno;
}

/* Return: 0, or a negative errno; -EBUSY: another server has it, -EEXIST: it is something else, -ESTALE: of
 * another size. */
static int begin(struct log *log)
{
	struct ub_io_log_head found = {0};
	struct stat st;
	ssize_t n;
	int ret = 0;

	if (fstat(log->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	if (flock(log->fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	n = pread(log->fd, &found, sizeof(found), 0);
	if (n < 0)
		return -errno;
	if (n > 0 && ub_io_log_check(&found, (size_t)n) != 0)
		return -EEXIST;
	if (n > 0 && found.places != log->places)
		return -ESTALE;
	log->left_out = found.left_out;
	if (found.next < log->places)
		log->next = found.next;
	else
		ret = find_next(log);
	return ret ? ret : write_head(log, UB_IO_LOG_UNKNOWN);
}

static void close_file(struct log *log)
{
	ub_close(&log->fd);
	free(log);
}

static void log_close(struct ub_layer_on *on)
{
	struct log *log = on->state;

	(void)write_head(log, log->next);
	close_file(log);
}

static int log_open(struct ub_layer_on *on, const char *path, struct ub_error *err)
{
	const struct log_args *args = on->args;
	struct log *log = calloc(1, sizeof(*log));
	int ret;

	if (!log)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make layer log");
	log->places = (args->size - UB_IO_LOG_HEAD) / sizeof(struct ub_io_log_record);
	log->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	ret = log->fd < 0 ? -errno : begin(log);
	if (!ret) {
		on->state = log;
		return 0;
	}
	close_file(log);
	switch (ret) {
	case -EEXIST:
		return ub_fail_text(err, UB_STAGE_LAYER, ret,
				    "layer log: %s is there, and is no log of this layer",
				    args->file);
	case -ESTALE:
		return ub_fail_text(err, UB_STAGE_LAYER, ret,
				    "layer log: %s is there, with another size", args->file);
	case -EBUSY:
		return ub_fail_text(err, UB_STAGE_LAYER, ret, "layer log: another device has %s",
				    args->file);
	default:
		return ub_fail(err, UB_STAGE_LAYER, ret, "layer log: cannot write %s", args->file);
	}
}

static uint64_t wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void log_submit(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	struct log_io *l = ub_layer_io_state(q, io, at);

	*l = (struct log_io){
		.began_ns = ub_now_ns(), .wall_ns = wall_ns(), .fua = io->flags & UBLK_IO_F_FUA};
	ub_layer_pass(q, io, at);
}

/* Takes places for @count records that lie one behind the other. Return: how many they are. */
static unsigned take_places(struct log *log, unsigned count, uint64_t *ret_at)
{
	uint64_t at = atomic_load_explicit(&log->next, memory_order_relaxed), n;

	do
		n = log->places - at < count ? log->places - at : count;
	while (!atomic_compare_exchange_weak_explicit(&log->next, &at, (at + n) % log->places,
						      memory_order_relaxed, memory_order_relaxed));
	*ret_at = at;
	return (unsigned)n;
}

static void write_filled(struct ub_queue *q, unsigned at, struct log_queue *lq)
{
	struct log *log = ub_layer_on(q, at)->state;
	unsigned half = lq->filling, n = take_places(log, lq->count[half], &lq->at);
	unsigned rest = lq->count[half] - n;

	/* At the end of the file: the rest goes to its beginning, later. */
	lq->filling ^= 1;
	memcpy(lq->half[lq->filling], lq->half[half] + n, rest * sizeof(lq->half[0][0]));
	lq->count[lq->filling] = (uint16_t)rest;
	lq->count[half] = (uint16_t)n;
	lq->writing = true;
	ub_layer_write(q, at, log->fd, lq->half[half], n * (uint32_t)sizeof(lq->half[0][0]),
		       (uint64_t)position(lq->at));
}

static void log_ended(struct ub_queue *q, struct ub_io *io, unsigned at, int error)
{
	const struct log_io *l = ub_layer_io_state(q, io, at);
	struct log_queue *lq = ub_layer_queue_state(q, at);
	struct log *log = ub_layer_on(q, at)->state;
	uint64_t took_us = (ub_now_ns() - l->began_ns) / 1000;

	if (lq->count[lq->filling] == HALF)
		atomic_fetch_add_explicit(&log->left_out, 1, memory_order_relaxed);
	else
		lq->half[lq->filling][lq->count[lq->filling]++] = (struct ub_io_log_record){
			.began_ns = l->wall_ns,
			.offset = io->offset,
			.len = io->len,
			.took_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX,
			.error = (int16_t)error,
			.op = io->op,
			.fua = l->fua,
			.queue = (uint16_t)ub_layer_io_queue(q, io),
			.tag = io->tag,
		};
	if (!lq->writing)
		write_filled(q, at, lq);
	ub_layer_end(q, io, at, error);
}

static void log_written(struct ub_queue *q, unsigned at, int res)
{
	struct log_queue *lq = ub_layer_queue_state(q, at);
	struct log *log = ub_layer_on(q, at)->state;
	unsigned wanted = lq->count[lq->filling ^ 1];
	unsigned written = res > 0 ? (unsigned)res / (unsigned)sizeof(lq->half[0][0]) : 0;

	lq->writing = false;
	if (written < wanted) {
		atomic_fetch_add_explicit(&log->left_out, wanted - written, memory_order_relaxed);
		ub_layer_fault(q, at, res < 0 ? res : -ENOSPC);
	}
	if (lq->count[lq->filling])
		write_filled(q, at, lq);
}

/* What the ring may not have come to. */
static void log_queue_close(const struct ub_layer_on *on, void *state)
{
	struct log *log = on->state;
	struct log_queue *lq = state;
	unsigned other = lq->filling ^ 1, n;
	uint64_t at;

	if (lq->writing)
		(void)!pwrite(log->fd, lq->half[other], lq->count[other] * sizeof(lq->half[0][0]),
			      position(lq->at));
	n = lq->count[lq->filling] ? take_places(log, lq->count[lq->filling], &at) : 0;
	if (n)
		(void)!pwrite(log->fd, lq->half[lq->filling], n * sizeof(lq->half[0][0]),
			      position(at));
}

const struct ub_layer ub_layer_log = {
	.name = "log",
	.summary = "each I/O is noted in a file",
	.options = options,
	.args_size = sizeof(struct log_args),
	.queue_size = sizeof(struct log_queue),
	.io_size = sizeof(struct log_io),
	.defaults = log_defaults,
	.check = log_check,
	.file = log_file,
	.open = log_open,
	.submit = log_submit,
	.ended = log_ended,
	.written = log_written,
	.queue_close = log_queue_close,
	.close = log_close,
};
