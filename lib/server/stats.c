/* SPDX-License-Identifier: MIT */
/* The file in which the queues count, so that others can read it, and the next server goes on with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "record/dir.h"
#include "server/server.h"
#include "stats/guard.h"
#include "stats/stats.h"

static void fill_head(const struct server *s, struct ub_stats_head *head)
{
	const struct ub_layout *layout = &s->space.layout;

	*head = (struct ub_stats_head){
		.format = UB_STATS_FORMAT,
		.id = s->record.id,
		.token = s->record.token,
		.since = (uint64_t)time(NULL),
		.queues = layout->queues,
		.threads = layout->threads,
		.share = layout->share,
		.blocks = s->nr_queues,
		.first = (uint64_t)sysconf(_SC_PAGESIZE),
		.stride = layout->size[UB_PART_STATS],
	};
	memcpy(head->magic, UB_STATS_MAGIC, sizeof(head->magic));
}

/* Is it what a server of this device has left, and nobody else can write? @head: what it should have. */
static bool is_ours(int fd, const struct ub_stats_head *head)
{
	struct ub_stats_head found;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) || st.st_nlink != 1 ||
	    st.st_size != (off_t)ub_stats_size(head) ||
	    pread(fd, &found, sizeof(found), 0) != sizeof(found))
		return false;
	found.since = head->since;
	return memcmp(&found, head, sizeof(found)) == 0;
}

static int open_old(int dirfd, const struct ub_stats_head *head)
{
	char name[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int fd = openat(dirfd, ub_record_stats_name(head->id, name),
					O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd >= 0 && is_ours(fd, head) ? UB_TAKE_FD(fd) : -ENOENT;
}

/* All of its memory is there, or refused: later none can be missing. */
static int fill(int fd, const struct ub_stats_head *head)
{
	int ret = -posix_fallocate(fd, 0, (off_t)ub_stats_size(head));

	if (ret)
		return ret;
	return pwrite(fd, head, sizeof(*head), 0) == sizeof(*head) ? 0 : -EIO;
}

static int make_new(int dirfd, const struct ub_stats_head *head)
{
	char name[UB_RECORD_NAME_SIZE], temp[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int fd = -1;
	int ret;

	/* With the record goes whatever begins like this. */
	(void)snprintf(temp, sizeof(temp), ".%u.stats", head->id);
	(void)unlinkat(dirfd, temp, 0);
	fd = openat(dirfd, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = fill(fd, head);
	/* Whoever may read the record, whatever the umask is. */
	if (!ret && fchmod(fd, 0644) != 0)
		ret = -errno;
	if (!ret && renameat(dirfd, temp, dirfd, ub_record_stats_name(head->id, name)) != 0)
		ret = -errno;
	if (ret)
		(void)unlinkat(dirfd, temp, 0);
	return ret ? ret : UB_TAKE_FD(fd);
}

/* A disk's file would be written back now and then, which whoever counts would wait for; and it may be this
 * device's. */
static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int open_file(const struct ub_stats_head *head)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(true, NULL);
	int ret = ub_fault("stats"), fd;

	if (ret || dirfd < 0)
		return ret ? ret : dirfd;
	if (!is_in_memory(dirfd))
		return -EMEDIUMTYPE;
	fd = open_old(dirfd, head);
	return fd >= 0 ? fd : make_new(dirfd, head);
}

/* What the server before had in hand comes again. */
static void begin_again(struct ub_stats *stats)
{
	for (unsigned kind = 0; kind < UB_STATS_OPS; kind++) {
		struct ub_stats_op *op = ub_stats_op(stats, kind);

		ub_stats_set(&op->begun, ub_stats_get(&op->ended));
	}
	ub_stats_set(&stats->stall.ios, 0);
}

static int map_block(struct server *s, int fd, const struct ub_stats_head *head, unsigned stretch)
{
	char *part = ub_space_part(&s->space, stretch, UB_PART_STATS);
	off_t at = (off_t)(head->first + stretch * head->stride);

	if (mmap(part, head->stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		 fd, at) == MAP_FAILED ||
	    (s->record.spec.mlock && mlock(part, head->stride) != 0))
		return -errno;
	begin_again((void *)part);
	return 0;
}

/* In the place of the memory that the queues have had for it so far. */
static int map_file(struct server *s, int fd, const struct ub_stats_head *head)
{
	const struct ub_layout *layout = &s->space.layout;
	const struct ub_guard guard = {
		.base = s->space.base,
		.total = head->blocks * layout->stride,
		.stride = layout->stride,
		.offset = layout->offset[UB_PART_STATS],
		.size = layout->size[UB_PART_STATS],
	};
	int ret = 0;

	ub_guard_begin(&guard);
	for (unsigned i = 0; !ret && i < head->blocks; i++)
		ret = map_block(s, fd, head, i);
	for (unsigned i = 0; ret && i < head->blocks; i++)
		(void)ub_guard_replace(ub_space_part(&s->space, i, UB_PART_STATS), guard.size);
	return ret;
}

void server_open_stats(struct server *s)
{
	struct ub_stats_head head;
	int fd, ret;

	fill_head(s, &head);
	fd = open_file(&head);
	ret = fd < 0 ? fd : map_file(s, fd, &head);
	ub_close(&fd);
	s->counts = ret == 0;
	if (ret)
		ub_note(&s->record.notes, "nobody can read what it counts (ublk stat): %s",
			ret == -EMEDIUMTYPE ? "the records' folder is not in memory"
					    : strerror(-ret));
	if (ret)
		server_remove_stats(s);
}

void server_remove_stats(const struct server *s)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, NULL);
	char name[UB_RECORD_NAME_SIZE];

	if (dirfd >= 0)
		(void)unlinkat(dirfd, ub_record_stats_name(s->record.id, name), 0);
}
