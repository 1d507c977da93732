/* SPDX-License-Identifier: MIT */
#include "target/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkzoned.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/clean.h"
#include "base/parse.h"

#define SECTOR_SIZE 512U
#define BLOCK_DEFAULT 4096U
#define PROBE_DISTANCE (1ULL << 30)
#define BLOCK_MAX (64U << 10) /* network file systems call their transfer size a block */

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* From the queue's folder of the disk that @dev is or lies on. Return: false: it is not known. */
static bool find_text(uint64_t dev, const char *name, char text[static 32])
{
	/* A partition's queue is its disk's: the kernel resolves the link before the "..". */
	static const char *const where[] = {"", "../"};
	char path[96];

	for (size_t i = 0; i < UB_ARRAY_SIZE(where); i++) {
		_cleanup_fclose_ FILE *f = NULL;

		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev),
			       minor(dev), where[i], name);
		f = fopen(path, "re");
		if (!f || !fgets(text, 32, f))
			continue;
		text[strcspn(text, "\n")] = '\0';
		return true;
	}
	return false;
}

static bool find_number(uint64_t dev, const char *name, uint64_t *ret_value)
{
	char text[32];

	return find_text(dev, name, text) && ub_parse_u64(text, UINT64_MAX, ret_value) == 0;
}

/* Return: 0 if it is not known. */
static uint64_t queue_number(uint64_t dev, const char *name)
{
	uint64_t value = 0;

	(void)find_number(dev, name, &value);
	return value;
}

/*
 * Does what lies behind compute something from a direct write's data, so that this must not change
 * before the write has ended? A disk says so (checksums, parity, T10-PI, a compressed copy), and those that are
 * stacked on it repeat it. A file system without a disk of its own has checksums itself or sends the
 * data away (btrfs, NFS, SMB, Ceph, FUSE): what can't say counts as one that does, but for those that
 * have only memory, where a write copies.
 */
static bool wants_stable_data(uint64_t dev, uint64_t fs_type)
{
	uint64_t value;

	if (major(dev) == 0)
		return fs_type != TMPFS_MAGIC && fs_type != RAMFS_MAGIC;
	return !find_number(dev, "stable_writes", &value) || value != 0;
}

/* As the block layer goes by it when it is asked to flush. */
static bool is_write_through(uint64_t dev)
{
	char text[32];

	return find_text(dev, "write_cache", text) && strcmp(text, "write through") == 0;
}

/* Neither another machine nor another program is asked. */
static bool is_local(uint64_t fs_type)
{
	switch (fs_type) {
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 too */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return true;
	default:
		return false;
	}
}

int ub_set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* Where the kernel does not tell: reads as a client would. */
static uint32_t try_direct_reads(int fd, uint64_t size)
{
	static const uint32_t sizes[] = {SECTOR_SIZE, BLOCK_DEFAULT};
	_cleanup_free_ void *buf = NULL;

	if (posix_memalign(&buf, BLOCK_DEFAULT, BLOCK_DEFAULT) != 0)
		return 0;
	for (size_t i = 0; i < UB_ARRAY_SIZE(sizes); i++) {
		/* Not at the start, which is always aligned, nor past the end, which is not checked
		 * everywhere. */
		off_t at = size >= 2ULL * sizes[i] ? (off_t)sizes[i] : 0;

		if (pread(fd, buf, sizes[i], at) >= 0)
			return sizes[i];
		if (errno != EINVAL)
			return 0;
	}
	return 0;
}

static void probe_direct(int fd, const struct ub_backing *b, struct ub_probe *p)
{
	struct statx stx;

	p->direct_memory = BLOCK_DEFAULT;
	if (ub_set_direct(fd, true) < 0)
		return;
	if (p->block) {
		p->direct_alignment = p->logical;
		p->direct_memory = p->logical;
	} else if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
		   stx.stx_mask & STATX_DIOALIGN) {
		/* Zero where this very file has no direct I/O, such as an encrypted one. */
		p->direct_alignment = stx.stx_dio_offset_align;
		p->direct_memory = stx.stx_dio_mem_align;
	} else {
		p->direct_alignment = try_direct_reads(fd, b->size);
	}
	if (!is_power_of_two(p->direct_alignment))
		p->direct_alignment = 0;
	(void)ub_set_direct(fd, false);
}

/*
 * Far behind the end there is nothing to lose, even if the file grows meanwhile: a hole there shows
 * whether holes can be made.
 */
static int probe_holes(int fd, const struct ub_backing *b, struct ub_probe *p, struct ub_error *err)
{
	uint64_t far = b->size - b->size % p->physical + PROBE_DISTANCE;

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)far,
		      (off_t)p->physical) == 0)
		p->granularity = p->physical;
	else if (errno == ETXTBSY)
		/* vfs_fallocate() says so of nothing else. */
		return ub_fail_text(err, UB_STAGE_BACKING, -EBUSY,
				    "cannot serve %s: it is used as swap", b->path);
	return 0;
}

static int probe_file(int fd, const struct ub_backing *b, struct ub_probe *p, struct ub_error *err)
{
	struct statfs fs = {0};

	p->logical = SECTOR_SIZE;
	p->physical = BLOCK_DEFAULT;
	if (fstatfs(fd, &fs) == 0 && is_power_of_two((uint64_t)fs.f_bsize) &&
	    fs.f_bsize >= SECTOR_SIZE && fs.f_bsize <= BLOCK_MAX)
		p->physical = (uint32_t)fs.f_bsize;
	/* A server of files may keep what came through one of its handles until that one is synced. */
	p->own_cache = fs.f_type == FUSE_SUPER_MAGIC;
	p->stable_data = wants_stable_data(b->dev, (uint64_t)fs.f_type);
	p->local = is_local((uint64_t)fs.f_type);
	p->freezable = fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
	p->rotational = queue_number(b->dev, "rotational") == 1;
	return b->writable ? probe_holes(fd, b, p, err) : 0;
}

static void probe_discard(const struct ub_backing *b, struct ub_probe *p)
{
	uint64_t granularity = queue_number(b->rdev, "discard_granularity");

	if (!b->writable || queue_number(b->rdev, "discard_max_bytes") == 0)
		return;
	granularity &= -granularity; /* some are no power of two: what divides them is one */
	p->granularity = p->logical;
	if (granularity > p->logical && granularity <= UB_DISCARD_MAX)
		p->granularity = (uint32_t)granularity;
}

static int probe_block(int fd, const struct ub_backing *b, struct ub_probe *p, struct ub_error *err)
{
	unsigned physical = 0, io_min = 0, io_opt = 0;
	uint32_t zone = 0;
	int logical = 0;

	if (ioctl(fd, BLKSSZGET, &logical) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno,
			       "cannot tell the logical block size of %s", b->path);
	if (ioctl(fd, BLKGETZONESZ, &zone) == 0 && zone && b->writable)
		return ub_fail_text(err, UB_STAGE_BACKING, -EOPNOTSUPP,
				    "cannot serve %s for writing: it is a zoned device", b->path);
	(void)ioctl(fd, BLKPBSZGET, &physical);
	(void)ioctl(fd, BLKIOMIN, &io_min);
	(void)ioctl(fd, BLKIOOPT, &io_opt);
	p->logical = (uint32_t)logical;
	p->physical = is_power_of_two(physical) ? physical : p->logical;
	p->io_min = is_power_of_two(io_min) ? io_min : 0;
	p->io_opt = is_power_of_two(io_opt) ? io_opt : 0;
	p->rotational = queue_number(b->rdev, "rotational") == 1;
	p->stable_data = wants_stable_data(b->rdev, 0);
	p->write_through = is_write_through(b->rdev);
	p->local = true;
	probe_discard(b, p);
	return 0;
}

int ub_probe_backing(int fd, const struct ub_backing *b, struct ub_probe *ret_probe,
		     struct ub_error *err)
{
	struct ub_probe p = {.block = b->rdev != 0};
	int ret = p.block ? probe_block(fd, b, &p, err) : probe_file(fd, b, &p, err);

	if (ret < 0)
		return ret;
	probe_direct(fd, b, &p);
	*ret_probe = p;
	return 0;
}
