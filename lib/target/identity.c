/* SPDX-License-Identifier: MIT */
#include "target/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"
#include "target/path.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* Linux 6.6: for identity alone, from file systems that open none */
#endif

#define NS_PER_S 1000000000ULL

const char *const ub_known_by_names[] = {
	[UB_BY_PATH] = "path",     [UB_BY_NUMBER] = "number", [UB_BY_BIRTH] = "birth",
	[UB_BY_HANDLE] = "handle", [UB_BY_DISK] = "disk",     NULL,
};

static char *encode(int fd, int flags)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.h.handle_bytes = MAX_HANDLE_SZ};
	char *text, *end;
	int mount;

	if (name_to_handle_at(fd, "", &u.h, &mount, AT_EMPTY_PATH | flags) < 0)
		return NULL;
	if (asprintf(&text, "%d:%*s", u.h.handle_type, (int)(2 * u.h.handle_bytes), "") < 0)
		return NULL;
	end = strchr(text, ':') + 1;
	for (unsigned i = 0; i < u.h.handle_bytes; i++)
		(void)snprintf(end + 2 * (size_t)i, 3, "%02x", u.h.f_handle[i]);
	return text;
}

/* Those where a file has another number, and another handle, once the kernel has forgotten it. */
static bool is_unsteady(uint32_t fs_type)
{
	static const uint32_t types[] = {
		FUSE_SUPER_MAGIC, MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC,
		CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
	};

	for (size_t i = 0; i < UB_ARRAY_SIZE(types); i++)
		if (types[i] == fs_type)
			return true;
	return false;
}

static void identify_file(int fd, struct ub_backing *b)
{
	struct statx stx;
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0) {
		b->unsteady = is_unsteady((uint32_t)fs.f_type);
		memcpy(&b->fsid, &fs.f_fsid, sizeof(b->fsid));
	}
	b->handle = encode(fd, 0);
	b->handle_opens = b->handle;
	if (!b->handle)
		b->handle = encode(fd, AT_HANDLE_FID);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) == 0 && stx.stx_mask & STATX_BTIME)
		b->born_ns = (uint64_t)stx.stx_btime.tv_sec * NS_PER_S + stx.stx_btime.tv_nsec;
}

/* An attribute of the disk that @rdev is, or is a partition of. */
static bool disk_line(char *buf, size_t size, uint64_t rdev, const char *name)
{
	/* The kernel resolves the link before the "..". */
	static const char *const where[] = {"", "../"};

	for (size_t i = 0; i < UB_ARRAY_SIZE(where); i++)
		if (ub_sysfs_line(buf, size, "/sys/dev/block/%u:%u/%s%s", major(rdev), minor(rdev),
				  where[i], name) > 0)
			return true;
	return false;
}

static void identify_disk(struct ub_backing *b)
{
	/* Not "t10." and such: what is no number of its own may be many disks'. */
	static const char *const unique[] = {"naa.", "eui.", "uuid."};
	char line[256] = "";
	uint64_t part = 0;
	bool found;

	if (disk_line(line, sizeof(line), b->rdev, "diskseq"))
		(void)ub_parse_u64(line, UINT64_MAX, &b->diskseq);
	found = disk_line(line, sizeof(line), b->rdev, "dm/uuid");
	if (!found && (disk_line(line, sizeof(line), b->rdev, "wwid") ||
		       disk_line(line, sizeof(line), b->rdev, "device/wwid")))
		for (size_t i = 0; i < UB_ARRAY_SIZE(unique); i++)
			found |= strncmp(line, unique[i], strlen(unique[i])) == 0;
	if (!found)
		return;
	(void)ub_sysfs_u64(&part, "/sys/dev/block/%u:%u/partition", major(b->rdev), minor(b->rdev));
	if (asprintf(&b->disk_id, "%s/%" PRIu64, line, part) < 0)
		b->disk_id = NULL;
}

/* Where @fd lies. Return: a path to be freed; NULL if it has no name there, or too long a one. */
static char *find_real(int fd, const struct stat *st)
{
	_cleanup_free_ char *path = ub_path_of(fd);
	_cleanup_close_ int there = path ? ub_path_open(path, O_PATH, 0) : -1;
	struct stat now;

	/* "(deleted)" may be a part of its name. */
	if (there < 0 || fstat(there, &now) < 0 || now.st_dev != st->st_dev ||
	    now.st_ino != st->st_ino)
		return NULL;
	return UB_TAKE_PTR(path);
}

int ub_backing_identify(int fd, struct ub_backing *b)
{
	struct ub_backing old = *b;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*b = (struct ub_backing){
		.path = old.path,
		.size = old.size,
		.offset = old.offset,
		.length = old.length,
		.writable = old.writable,
		.real = find_real(fd, &st),
		.dev = st.st_dev,
		.ino = st.st_ino,
		.rdev = S_ISBLK(st.st_mode) ? st.st_rdev : 0,
	};
	old.path = NULL;
	ub_backing_done(&old);
	if (b->rdev)
		identify_disk(b);
	else
		identify_file(fd, b);
	return 0;
}

enum ub_known_by ub_backing_known_by(const struct ub_backing *b)
{
	if (b->rdev)
		return b->diskseq || b->disk_id ? UB_BY_DISK : UB_BY_NUMBER;
	if (b->handle && !b->unsteady)
		return UB_BY_HANDLE;
	if (b->born_ns)
		return UB_BY_BIRTH;
	return b->unsteady ? UB_BY_PATH : UB_BY_NUMBER;
}

static bool is_same_disk(const struct ub_backing *a, const struct ub_backing *b)
{
	/* A logical volume or a lost disk comes back as a new disk, and may get another number. */
	if (a->disk_id && b->disk_id)
		return strcmp(a->disk_id, b->disk_id) == 0;
	return a->rdev == b->rdev && (!a->diskseq || !b->diskseq || a->diskseq == b->diskseq);
}

/* One that no disk lies under gets a number when it is mounted, and another one the next time. */
static bool is_other_fs(const struct ub_backing *a, const struct ub_backing *b)
{
	if (a->dev == b->dev)
		return false;
	return major(a->dev) || major(b->dev) || (a->fsid && b->fsid && a->fsid != b->fsid);
}

static bool is_same_file(const struct ub_backing *a, const struct ub_backing *b)
{
	bool born = a->born_ns && b->born_ns, handles = a->handle && b->handle;

	if (is_other_fs(a, b) || (born && a->born_ns != b->born_ns))
		return false;
	if (handles && strcmp(a->handle, b->handle) == 0)
		return true;
	if (!a->unsteady && !b->unsteady)
		return !handles && a->ino == b->ino;
	if (born)
		return true;
	return a->real && b->real ? strcmp(a->real, b->real) == 0 : a->ino == b->ino;
}

bool ub_backing_is_same(const struct ub_backing *a, const struct ub_backing *b)
{
	if (!a->rdev != !b->rdev)
		return false;
	return a->rdev ? is_same_disk(a, b) : is_same_file(a, b);
}

bool ub_backing_overlaps(const struct ub_backing *a, const struct ub_backing *b)
{
	uint64_t a_end = a->length ? a->offset + a->length : UINT64_MAX;
	uint64_t b_end = b->length ? b->offset + b->length : UINT64_MAX;

	return a->offset < b_end && b->offset < a_end;
}

const char *ub_backing_describe(const struct ub_backing *b, char *buf, size_t size)
{
	time_t born = (time_t)(b->born_ns / NS_PER_S);
	char when[32] = "";
	struct tm tm;

	if (b->rdev && b->diskseq)
		(void)snprintf(buf, size, "disk %u:%u with sequence number %" PRIu64,
			       major(b->rdev), minor(b->rdev), b->diskseq);
	else if (b->rdev)
		(void)snprintf(buf, size, "disk %u:%u", major(b->rdev), minor(b->rdev));
	else if (b->born_ns && localtime_r(&born, &tm) &&
		 strftime(when, sizeof(when), "%F %T", &tm) > 0)
		(void)snprintf(buf, size, "inode %" PRIu64 " on %u:%u, born %s.%03u", b->ino,
			       major(b->dev), minor(b->dev), when,
			       (unsigned)(b->born_ns % NS_PER_S / 1000000));
	else
		(void)snprintf(buf, size, "inode %" PRIu64 " on %u:%u", b->ino, major(b->dev),
			       minor(b->dev));
	return buf;
}

void ub_backing_done(struct ub_backing *b)
{
	free(b->path);
	free(b->real);
	free(b->handle);
	free(b->disk_id);
	*b = (struct ub_backing){0};
}

void ub_backings_done(struct ub_backings *backings)
{
	for (unsigned i = 0; i < backings->count; i++)
		ub_backing_done(&backings->at[i]);
	backings->count = 0;
}
