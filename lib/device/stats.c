/* SPDX-License-Identifier: MIT */
#include "device/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "kernel/sysfs.h"
#include "record/dir.h"
#include "stats/guard.h"

#define THREADS_MAX 65536U

/* Nobody but who serves may have written it. */
static int open_file(int dirfd, uint32_t id, off_t *ret_size)
{
	char name[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int fd = openat(dirfd, ub_record_stats_name(id, name),
					O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == ENODEV))
		return -EPERM;
	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	*ret_size = st.st_size;
	return UB_TAKE_FD(fd);
}

/* It is believed in nothing that could lead beyond it. */
static bool is_right(const struct ub_stats_head *head, uint32_t id, uint64_t token, off_t size)
{
	return memcmp(head->magic, UB_STATS_MAGIC, sizeof(head->magic)) == 0 &&
	       head->format == UB_STATS_FORMAT && head->id == id && head->token == token &&
	       head->threads > 0 && head->share > 0 && head->blocks > 0 &&
	       head->blocks <= THREADS_MAX && head->first >= sizeof(*head) &&
	       head->first % sizeof(uint64_t) == 0 && head->first <= INT32_MAX &&
	       head->stride >= sizeof(struct ub_stats) && head->stride <= INT32_MAX &&
	       head->stride % sizeof(uint64_t) == 0 && size == (off_t)ub_stats_size(head);
}

uint64_t ub_dev_stalled(const struct ub_dev_stall *stall)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < UB_STATS_OPS; i++)
		sum += stall->ios[i];
	return sum;
}

static void add_stall(struct ub_dev_stall *to, const struct ub_dev_stall *from)
{
	if (!ub_dev_stalled(from))
		return;
	if (!ub_dev_stalled(to) || from->since_ms < to->since_ms)
		to->since_ms = from->since_ms;
	for (unsigned i = 0; i < UB_STATS_OPS; i++)
		to->ios[i] += from->ios[i];
}

static void add(struct ub_dev_sum *to, const struct ub_dev_sum *from)
{
	for (unsigned i = 0; i < UB_STATS_OPS; i++) {
		to->op[i].begun += from->op[i].begun;
		to->op[i].ended += from->op[i].ended;
		to->op[i].bytes += from->op[i].bytes;
		to->op[i].errors += from->op[i].errors;
		if (from->op[i].most > to->op[i].most)
			to->op[i].most = from->op[i].most;
	}
	for (unsigned i = 0; i < UB_TIMES_COUNT; i++)
		for (unsigned b = 0; b < UB_STATS_BUCKETS; b++)
			to->times[i].count[b] += from->times[i].count[b];
	to->in_flight += from->in_flight;
	add_stall(&to->stall, &from->stall);
}

static void read_stall(const struct ub_stats_stall *from, struct ub_dev_stall *to)
{
	uint64_t op = ub_stats_get(&from->op);

	to->ios[op < UB_STATS_OPS ? op : UB_STATS_UNKNOWN] = ub_stats_get(&from->ios);
	to->since_ms = ub_stats_get(&from->since_ms);
}

/* What has ended is read first, so that no more has than has begun. */
static void read_block(struct ub_stats *block, struct ub_dev_sum *sum)
{
	for (unsigned i = 0; i < UB_STATS_OPS; i++) {
		const struct ub_stats_op *from = ub_stats_op(block, i);
		struct ub_stats_op *to = &sum->op[i];

		to->ended = __atomic_load_n(&from->ended, __ATOMIC_ACQUIRE);
		to->begun = ub_stats_get(&from->begun);
		to->bytes = ub_stats_get(&from->bytes);
		to->errors = ub_stats_get(&from->errors);
		to->most = ub_stats_get(&from->most);
		sum->in_flight += to->begun > to->ended ? to->begun - to->ended : 0;
	}
	read_stall(&block->stall, &sum->stall);
	for (unsigned b = 0; b < UB_STATS_BUCKETS; b++) {
		sum->times[UB_TIMES_READ].count[b] =
			ub_stats_get(&block->rw[UB_STATS_READ].times[b]);
		sum->times[UB_TIMES_WRITE].count[b] =
			ub_stats_get(&block->rw[UB_STATS_WRITE].times[b]);
		sum->times[UB_TIMES_OTHER].count[b] =
			__atomic_load_n(&block->other_times[b], __ATOMIC_RELAXED);
	}
}

static int read_mapped(char *map, uint32_t id, uint64_t token, off_t size,
		       struct ub_dev_stats *stats)
{
	struct ub_stats_head head;

	memcpy(&head, map, sizeof(head));
	if (!is_right(&head, id, token, size))
		return -EBADMSG;
	stats->parts = calloc(head.blocks, sizeof(*stats->parts));
	if (!stats->parts)
		return -ENOMEM;
	stats->count = head.blocks;
	stats->since = head.since;
	stats->by_server = true;
	for (uint32_t i = 0; i < head.blocks; i++) {
		struct ub_dev_part *part = &stats->parts[i];

		part->queue = i / head.threads * head.share;
		part->thread = i % head.threads;
		read_block((void *)(map + head.first + i * head.stride), &part->sum);
		add(&stats->all, &part->sum);
	}
	return 0;
}

int ub_dev_stats_read_file(int dirfd, uint32_t id, uint64_t token, struct ub_dev_stats *ret_stats)
{
	struct ub_dev_stats stats = {0};
	off_t size = 0;
	_cleanup_close_ int fd = open_file(dirfd, id, &size);
	char *map;
	int ret;

	if (fd < 0)
		return fd;
	if (size < (off_t)sizeof(struct ub_stats_head))
		return -EBADMSG;
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	/* Whoever makes it shorter now ends nobody. */
	ub_guard_begin(&(struct ub_guard){.base = map,
					  .total = (uint64_t)size,
					  .stride = (uint64_t)size,
					  .size = (uint64_t)size});
	ret = read_mapped(map, id, token, size, &stats);
	if (ub_guard_end() && !ret)
		ret = -EBADMSG;
	(void)munmap(map, (size_t)size);
	if (ret)
		ub_dev_stats_done(&stats);
	else
		*ret_stats = stats;
	return ret;
}

static int read_counted(const struct ub_dev *dev, struct ub_dev_stats *ret_stats)
{
	int ret = -ENOENT;

	for (unsigned place = 0; place < UB_RECORD_PLACES && ret; place++) {
		_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);

		if (dirfd >= 0)
			ret = ub_dev_stats_read_file(dirfd, dev->id, dev->record.token, ret_stats);
	}
	return ret;
}

static const struct ub_stats_op none = {
	.begun = UB_STATS_NOT_KNOWN,
	.ended = UB_STATS_NOT_KNOWN,
	.bytes = UB_STATS_NOT_KNOWN,
	.errors = UB_STATS_NOT_KNOWN,
};

static void set_op(struct ub_stats_op *op, uint64_t ended, uint64_t sectors)
{
	op->ended = ended;
	op->bytes = sectors << 9;
}

/* Linux's Documentation/block/stat.rst. */
#define DISK_NUMBERS 17
enum {
	DISK_READS = 0,
	DISK_READ_SECTORS = 2,
	DISK_WRITES = 4,
	DISK_WRITTEN_SECTORS = 6,
	DISK_IN_FLIGHT = 8,
	DISK_DISCARDS = 11,
	DISK_DISCARDED_SECTORS = 13,
	DISK_FLUSHES = 15,
};

/* What a kernel does not have is 0. */
static int read_numbers(uint32_t id, uint64_t ret_numbers[static DISK_NUMBERS])
{
	char line[256], *at = line;
	int ret = ub_sysfs_line(line, sizeof(line), "/sys/block/ublkb%u/stat", id);

	for (unsigned i = 0; i < DISK_NUMBERS && ret >= 0; i++)
		ret_numbers[i] = strtoull(at, &at, 10);
	return ret < 0 ? ret : 0;
}

static int read_disk(uint32_t id, struct ub_dev_stats *ret_stats)
{
	struct ub_dev_stats stats = {0};
	struct ub_stats_op *op = stats.all.op;
	uint64_t v[DISK_NUMBERS];
	int ret = read_numbers(id, v);

	if (ret)
		return ret;
	for (unsigned i = 0; i < UB_STATS_OPS; i++)
		op[i] = none;
	for (unsigned i = 0; i < UB_TIMES_COUNT; i++)
		stats.all.times[i].unknown = true;
	set_op(&op[UB_STATS_READ], v[DISK_READS], v[DISK_READ_SECTORS]);
	set_op(&op[UB_STATS_WRITE], v[DISK_WRITES], v[DISK_WRITTEN_SECTORS]);
	set_op(&op[UB_STATS_DISCARD], v[DISK_DISCARDS], v[DISK_DISCARDED_SECTORS]);
	set_op(&op[UB_STATS_FLUSH], v[DISK_FLUSHES], 0);
	stats.all.in_flight = v[DISK_IN_FLIGHT];
	*ret_stats = stats;
	return 0;
}

/* Those that the server has given to the kernel, to be ended there, count as ended with it: in a disk that
 * hangs they are not. */
static void add_in_kernel(uint32_t id, struct ub_dev_sum *sum)
{
	uint64_t v[DISK_NUMBERS];

	if (read_numbers(id, v) == 0 && v[DISK_IN_FLIGHT] > sum->in_flight)
		sum->in_flight = v[DISK_IN_FLIGHT];
}

/* Who has told of them is gone. */
static void forget_stalls(struct ub_dev_stats *stats)
{
	stats->all.stall = (struct ub_dev_stall){0};
	for (size_t i = 0; i < stats->count; i++)
		stats->parts[i].sum.stall = (struct ub_dev_stall){0};
}

int ub_dev_stats_read(const struct ub_dev *dev, struct ub_dev_stats *ret_stats)
{
	if (dev->managed && read_counted(dev, ret_stats) == 0) {
		if (!ub_dev_is_live(dev))
			forget_stalls(ret_stats);
		add_in_kernel(dev->id, &ret_stats->all);
		return 0;
	}
	return read_disk(dev->id, ret_stats);
}

void ub_dev_stats_done(struct ub_dev_stats *stats)
{
	free(stats->parts);
	*stats = (struct ub_dev_stats){0};
}

static void take_off(uint64_t *from, uint64_t before)
{
	if (*from != UB_STATS_NOT_KNOWN)
		*from -= before < *from ? before : *from;
}

/* How long the longest one took is not known of a part of the time. */
static void subtract(struct ub_dev_sum *sum, const struct ub_dev_sum *before)
{
	for (unsigned i = 0; i < UB_STATS_OPS; i++) {
		take_off(&sum->op[i].begun, before->op[i].begun);
		take_off(&sum->op[i].ended, before->op[i].ended);
		take_off(&sum->op[i].bytes, before->op[i].bytes);
		take_off(&sum->op[i].errors, before->op[i].errors);
		sum->op[i].most = 0;
	}
	for (unsigned i = 0; i < UB_TIMES_COUNT; i++)
		for (unsigned b = 0; b < UB_STATS_BUCKETS; b++)
			take_off(&sum->times[i].count[b], before->times[i].count[b]);
}

int ub_dev_stats_since(const struct ub_dev_stats *stats, const struct ub_dev_stats *before,
		       struct ub_dev_stats *ret_stats)
{
	struct ub_dev_part *parts;

	if (before && stats->by_server != before->by_server)
		return -ESTALE;
	parts = calloc(stats->count + 1, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	*ret_stats = *stats;
	ret_stats->parts = parts;
	if (stats->count)
		memcpy(parts, stats->parts, stats->count * sizeof(*parts));
	if (!before || stats->since != before->since || stats->count != before->count)
		return 0;
	subtract(&ret_stats->all, &before->all);
	for (size_t i = 0; i < stats->count; i++)
		subtract(&parts[i].sum, &before->parts[i].sum);
	return 0;
}
