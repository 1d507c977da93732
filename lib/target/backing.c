/* SPDX-License-Identifier: MIT */
#include "target/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "target/find.h"
#include "target/path.h"

static const char *kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device";
	case S_IFIFO:
		return "FIFO";
	case S_IFSOCK:
		return "socket";
	default:
		return "special file";
	}
}

int ub_backing_check_kind(const char *path, mode_t mode, struct ub_error *err)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	return ub_fail_text(err, UB_STAGE_BACKING, S_ISDIR(mode) ? -EISDIR : -EINVAL,
			    "cannot serve %s: it is a %s", path, kind(mode));
}

/*
 * What @path_fd (open, or only O_PATH) names, opened for I/O: the very same inode, whatever happens
 * to the path, and so never a FIFO that blocks or a character device that acts on being opened.
 */
static int reopen(int path_fd, int flags)
{
	char link[40];
	int fd;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* @excl: only if nobody else has the block device for himself. */
static int reopen_block(int path_fd, int flags, bool excl)
{
	int fd = reopen(path_fd, flags | (excl ? O_EXCL : 0)), read_only = 0;

	/* Opening a write-protected device for writing succeeds; writing does not. */
	if (fd >= 0 && flags == O_RDWR && ioctl(fd, BLKROGET, &read_only) == 0 && read_only) {
		ub_close(&fd);
		return -EROFS;
	}
	return fd;
}

/* Whether it could be opened for writing, told without doing it: an overlay would copy the whole file
 * up. @fd: it is open for reading. Return: 0 or a negative errno. */
static int may_write(int fd)
{
	int read_only = 0;

	if (faccessat(fd, "", W_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
		return -errno;
	return ioctl(fd, BLKROGET, &read_only) == 0 && read_only ? -EROFS : 0;
}

static int probe(int path_fd, int flags)
{
	int fd = reopen(path_fd, O_RDONLY), ret = fd < 0 || flags == O_RDONLY ? 0 : may_write(fd);

	if (ret < 0)
		ub_close(&fd);
	return ret < 0 ? ret : fd;
}

static int reopen_any(int path_fd, bool block, int flags, const struct ub_open_request *req)
{
	if (req->probe)
		return probe(path_fd, flags);
	if (block)
		return reopen_block(path_fd, flags, flags == O_RDWR && !req->no_lock);
	return reopen(path_fd, flags);
}

static bool is_refusal_to_write(int code)
{
	return code == -EACCES || code == -EPERM || code == -EROFS || code == -ETXTBSY;
}

static int refuse_twice(const struct ub_backing *b, const struct ub_backing *other,
			struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_BACKING, -EINVAL,
			    "cannot serve %s: this device has it already, as %s", b->path,
			    other->path);
}

/* A block device is had as a whole: opened for itself alone twice, it would be told to be another one's. */
static int check_once(const struct ub_tgt *tgt, unsigned which, const struct stat *st,
		      struct ub_error *err)
{
	const struct ub_backing *at = tgt->backings.at;

	for (unsigned i = 0; i < which; i++)
		if (S_ISBLK(st->st_mode) && at[i].rdev == st->st_rdev)
			return refuse_twice(&at[which], &at[i], err);
	return 0;
}

/* What a recovery wants in its place. Return: 0 with @ret_was, NULL: it takes any; or -ESTALE with a message. */
static int find_expected(const struct ub_backing *b, unsigned which,
			 const struct ub_open_request *req, const struct ub_backing **ret_was,
			 struct ub_error *err)
{
	*ret_was = NULL;
	if (!req->expect)
		return 0;
	if (which >= req->expect->count)
		return ub_fail_text(err, UB_STAGE_BACKING, -ESTALE,
				    "cannot serve %s: the device was made without it", b->path);
	*ret_was = &req->expect->at[which];
	return 0;
}

static int open_there(struct ub_tgt *tgt, unsigned which, const struct ub_open_request *req,
		      struct ub_notes *notes, struct ub_error *err)
{
	struct ub_backing *b = &tgt->backings.at[which];
	_cleanup_close_ int path_fd = -1;
	const struct ub_backing *was;
	struct stat st;
	bool block;
	int fd, ret = find_expected(b, which, req, &was, err);

	if (ret < 0)
		return ret;
	path_fd = ub_backing_find(b->path, was, notes, err);
	if (path_fd < 0)
		return path_fd;
	if (fstat(path_fd, &st) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot open %s", b->path);
	ret = ub_backing_check_kind(b->path, st.st_mode, err);
	if (ret == 0)
		ret = check_once(tgt, which, &st, err);
	if (ret < 0)
		return ret;
	block = S_ISBLK(st.st_mode);
	fd = reopen_any(path_fd, block, req->read_only ? O_RDONLY : O_RDWR, req);
	b->writable = !req->read_only;
	if (!req->read_only && is_refusal_to_write(fd)) {
		if (was && was->writable)
			return ub_fail(err, UB_STAGE_BACKING, fd, "cannot open %s for writing",
				       b->path);
		ub_note(notes, "read-only, since %s cannot be opened for writing: %s", b->path,
			strerror(-fd));
		b->writable = false;
		fd = reopen_any(path_fd, block, O_RDONLY, req);
	}
	if (fd == -EBUSY)
		return ub_fail_text(err, UB_STAGE_LOCK, fd,
				    "cannot open %s for itself alone: it is mounted, used as swap, "
				    "or served already",
				    b->path);
	if (fd < 0)
		return ub_fail(err, UB_STAGE_BACKING, fd, "cannot open %s", b->path);
	tgt->files[tgt->nr_files++] = fd;
	return 0;
}

/* Makes the file. For a probe a nameless one beside it is as good, and leaves nothing behind. */
static int make_in(int dir, const char *name, bool probe)
{
	struct stat st;
	int fd;

	if (!probe)
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	else if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	else
		fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int make(struct ub_tgt *tgt, unsigned which, uint64_t size, bool probe, struct ub_error *err)
{
	struct ub_backing *b = &tgt->backings.at[which];
	const char *name;
	_cleanup_close_ int dir = ub_path_open_parent(b->path, O_PATH, &name);
	int fd = dir < 0 ? dir : make_in(dir, name, probe);
	struct stat st;

	if (fd < 0)
		return ub_fail(err, UB_STAGE_BACKING, fd, "cannot create %s", b->path);
	tgt->files[tgt->nr_files++] = fd;
	b->writable = true;
	if (fstat(fd, &st) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot look at %s", b->path);
	if (!probe) {
		/* From here on ub_tgt_undo() knows which file to remove. */
		b->dev = st.st_dev;
		b->ino = st.st_ino;
		tgt->created_in[which] = UB_TAKE_FD(dir);
		tgt->created[which] = true;
	}
	if (ftruncate(fd, (off_t)size) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot give %s its size", b->path);
	/* So that the file itself lasts as well as what a client's first flush makes durable. */
	if (!probe && fsync(fd) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot write %s", b->path);
	return 0;
}

int ub_backing_measure(struct ub_tgt *tgt, unsigned which)
{
	struct ub_backing *b = &tgt->backings.at[which];
	struct stat st;

	if (b->rdev)
		return ioctl(tgt->files[which], BLKGETSIZE64, &b->size) < 0 ? -errno : 0;
	if (fstat(tgt->files[which], &st) < 0)
		return -errno;
	b->size = (uint64_t)st.st_size;
	return 0;
}

static int identify(struct ub_tgt *tgt, unsigned which, struct ub_error *err)
{
	struct ub_backing *b = &tgt->backings.at[which];
	int ret = ub_backing_identify(tgt->files[which], b);

	if (ret < 0)
		return ub_fail(err, UB_STAGE_BACKING, ret, "cannot look at %s", b->path);
	ret = ub_backing_measure(tgt, which);
	return ret < 0 ? ub_fail(err, UB_STAGE_BACKING, ret, "cannot tell the size of %s", b->path)
		       : 0;
}

static void note(int fd, const struct ub_backing *b, struct ub_notes *notes)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		ub_note(notes, "%s has no name: should its server die, no other one finds it",
			b->path);
	else if (ub_backing_known_by(b) < UB_BY_BIRTH)
		ub_note(notes,
			"nothing firm is known of %s: a recovery takes what it finds there, if "
			"nobody has locked it",
			b->path);
}

void ub_backings_note(const struct ub_tgt *tgt, struct ub_notes *notes)
{
	for (unsigned i = 0; i < tgt->backings.count; i++)
		note(tgt->files[i], &tgt->backings.at[i], notes);
}

int ub_backing_open(struct ub_tgt *tgt, const char *path, uint64_t create,
		    const struct ub_open_request *req, struct ub_notes *notes, struct ub_error *err)
{
	unsigned which = tgt->backings.count;
	char *copy = strdup(path);
	int ret;

	if (!copy)
		return ub_fail(err, UB_STAGE_BACKING, -ENOMEM, "cannot open %s", path);
	tgt->backings.at[which].path = copy;
	tgt->backings.count++;
	ret = create ? make(tgt, which, create, req->probe, err)
		     : open_there(tgt, which, req, notes, err);
	return ret < 0 ? ret : identify(tgt, which, err);
}

int ub_backing_take(const struct ub_tgt *tgt, unsigned which, const struct ub_open_request *req,
		    struct ub_error *err)
{
	const struct ub_backing *at = tgt->backings.at;

	for (unsigned i = 0; i < which; i++)
		if (ub_backing_is_same(&at[i], &at[which]) &&
		    ub_backing_overlaps(&at[i], &at[which]))
			return refuse_twice(&at[which], &at[i], err);
	return req->no_lock || req->probe ? 0 : ub_backing_lock(tgt, which, at[which].length, err);
}

/*
 * An open-file-description lock belongs to the description, not to the process: it goes when the
 * last I/O that a dead server left in the kernel is over.
 */
int ub_backing_lock(const struct ub_tgt *tgt, unsigned which, uint64_t length, struct ub_error *err)
{
	const struct ub_backing *b = &tgt->backings.at[which];
	struct flock fl = {
		.l_type = b->writable ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)b->offset,
		.l_len = (off_t)length,
	};
	int ret = fcntl(tgt->files[which], F_OFD_SETLK, &fl) < 0 ? -errno : 0;

	if (ret == -EAGAIN || ret == -EACCES)
		return ub_fail_text(err, UB_STAGE_LOCK, -EBUSY,
				    "cannot lock %s: another device or program has locked it",
				    b->path);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_LOCK, ret, "cannot lock %s", b->path);
	return 0;
}

void ub_backing_unlock_rest(const struct ub_tgt *tgt, unsigned which, uint64_t length)
{
	struct flock fl = {
		.l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)(tgt->backings.at[which].offset + length),
	};

	(void)fcntl(tgt->files[which], F_OFD_SETLK, &fl);
}

int ub_backing_open_again(int fd)
{
	int mode = fcntl(fd, F_GETFL);

	return mode < 0 ? -errno : reopen(fd, mode & O_ACCMODE);
}
