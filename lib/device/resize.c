/* SPDX-License-Identifier: MIT */
#include "device/resize.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/parse.h"
#include "device/claim.h"
#include "device/control.h"
#include "device/same.h"
#include "device/steady.h"
#include "device/unused.h"
#include "kernel/sysfs.h"
#include "record/store.h"

/* How long a device that is to be made smaller may be open: many a program looks at it for a moment. */
#define TRANSIENT_MS 1000
#define UDEV_MS 10000
#define PAUSE_MS 20

/* What is under way. */
struct run {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_resize *resize;
	uint64_t room;     /* that the backing has */
	uint64_t old, new; /* bytes */
	bool parked;       /* it has no server that would have to be asked */
	struct ub_users *users;
	struct ub_error *err;
};

int ub_resize_parse(const char *text, struct ub_resize *ret_resize)
{
	if (strcmp(text, "max") == 0) {
		ret_resize->how = UB_RESIZE_MAX;
		return 0;
	}
	ret_resize->how = *text == '+'   ? UB_RESIZE_MORE
			  : *text == '-' ? UB_RESIZE_LESS
					 : UB_RESIZE_TO;
	return ub_parse_size(text + (ret_resize->how != UB_RESIZE_TO), &ret_resize->bytes);
}

__attribute__((format(printf, 3, 4))) static int fail(const struct run *r, int code,
						      const char *fmt, ...)
{
	char why[400];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return ub_fail_text(r->err, UB_STAGE_RESIZE, code, "cannot resize ublkb%u: %s", r->dev->id,
			    why);
}

static int check(const struct run *r)
{
	const struct ub_dev *dev = r->dev;

	if (!(ub_ctrl_features(r->ctrl) & UBLK_F_UPDATE_SIZE))
		return fail(r, -EOPNOTSUPP, "that needs Linux 6.16");
	if (dev->record_error.code)
		return fail(r, -ESTALE, "its record can't be used: %s", dev->record_error.msg);
	if (!dev->managed)
		return fail(r, -ESTALE, "it is another program's");
	if (!r->parked &&
	    (dev->info.state != UBLK_S_DEV_LIVE || dev->server.answer == UB_SERVED_NO))
		return fail(r, -ENOTCONN, "it has no server");
	return 0;
}

static int ask(const struct run *r, enum ub_control_op op, uint64_t bytes, bool all_ended,
	       struct ub_control_answer *ret_answer)
{
	const struct ub_control_request request = {.op = (uint16_t)op, .value = {bytes, all_ended}};

	return ub_control_ask(r->dev->id, r->dev->info.ublksrv_flags, &request,
			      r->resize->timeout_ms, ret_answer);
}

/* Of an answer that is none. */
static int fail_control(const struct run *r, int code)
{
	switch (code) {
	case -ENOENT:
		return fail(r, code, "its server has no control socket here");
	case -EOPNOTSUPP:
		return fail(r, -EINVAL,
			    "the size of a device of target %s does not change, or its "
			    "server is older than this program",
			    r->dev->record.spec.target->name);
	case -ESHUTDOWN:
		return fail(r, code, "its server is about to end");
	case -ETIMEDOUT:
		return fail(r, code, "its server (process %d) does not answer", r->dev->server.pid);
	default:
		return fail(r, code, "its server can't be spoken with: %s", strerror(-code));
	}
}

/* The one backing that it has. */
static const struct ub_backing *backing_of(const struct run *r)
{
	return r->dev->record.backings.at;
}

/* It is found as everybody finds it, and has to be what is served. Return: a descriptor or a negative errno
 * with a message. */
static int open_backing(const struct run *r, int flags)
{
	const struct ub_backing *b = backing_of(r);
	_cleanup_close_ int fd =
		open(b->real ? b->real : b->path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return fail(r, -errno, "cannot open %s: %s", b->path, strerror(errno));
	if (fstat(fd, &st) != 0 || (b->rdev ? st.st_rdev != b->rdev || !S_ISBLK(st.st_mode)
					    : st.st_dev != b->dev || st.st_ino != b->ino))
		return fail(r, -ESTALE, "%s is not what it serves", b->path);
	return UB_TAKE_FD(fd);
}

static int measure_room(struct run *r)
{
	const struct ub_backing *b = backing_of(r);
	_cleanup_close_ int fd = -1;
	off_t size;

	r->room = INT64_MAX;
	if (r->dev->record.backings.count > 1)
		return fail(r, -ENOTCONN, "it has no server, which alone knows its backings' room");
	if (!b->path)
		return 0;
	fd = open_backing(r, O_RDONLY);
	if (fd < 0)
		return fd;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return fail(r, -errno, "cannot tell the size of %s: %s", b->path, strerror(errno));
	r->room = (uint64_t)size > b->offset ? (uint64_t)size - b->offset : 0;
	return 0;
}

static int ask_room(struct run *r)
{
	struct ub_control_answer answer;
	int ret;

	if (r->parked)
		return measure_room(r);
	ret = ask(r, UB_CONTROL_ROOM, 0, false, &answer);
	r->room = answer.value[0];
	return ret ? fail_control(r, ret) : 0;
}

static int choose_size(struct run *r)
{
	const struct ub_resize *resize = r->resize;
	uint32_t block = r->dev->record.spec.logical_block_size;
	char now[16];

	r->old = r->dev->size;
	switch (resize->how) {
	case UB_RESIZE_MAX:
		if (r->room == INT64_MAX)
			return fail(r, -EINVAL, "target %s has no end",
				    r->dev->record.spec.target->name);
		r->new = r->room - r->room % block;
		break;
	case UB_RESIZE_MORE:
		r->new = r->old + resize->bytes;
		break;
	case UB_RESIZE_LESS:
		if (resize->bytes >= r->old)
			return fail(r, -EINVAL, "it has %s, and nothing would be left",
				    ub_format_size(r->old, now, sizeof(now)));
		r->new = r->old - resize->bytes;
		break;
	default:
		r->new = resize->bytes;
	}
	if (r->new == 0 || r->new % block)
		return fail(r, -EINVAL, "%llu bytes are no whole logical blocks of %u",
			    (unsigned long long)r->new, block);
	if (r->new > INT64_MAX)
		return fail(r, -EFBIG, "no device can have so much");
	return 0;
}

/* A hole, as --create makes it. It stays, whatever comes: somebody may have begun to use it. */
static int grow_backing(struct run *r)
{
	const struct ub_backing *b = backing_of(r);
	_cleanup_close_ int fd = -1;

	if (!r->resize->grow_backing || r->new <= r->room)
		return 0;
	if (r->dev->record.backings.count != 1 || b->rdev)
		return fail(r, -EINVAL, "what it serves is no file that could be made larger");
	fd = open_backing(r, O_RDWR);
	if (fd < 0)
		return fd;
	if (r->new > INT64_MAX - b->offset || ftruncate(fd, (off_t)(b->offset + r->new)) != 0)
		return fail(r, -errno, "cannot make %s larger: %s", b->path, strerror(errno));
	if (fsync(fd) != 0)
		return fail(r, -errno, "cannot write %s: %s", b->path, strerror(errno));
	r->room = r->new;
	return 0;
}

/* Return: -EBUSY if somebody uses it, with what kind of user. */
static int look(const struct run *r, int claim, struct ub_unused_seen *ret_seen)
{
	ub_unused_look_here(&r->dev->info, r->dev->server.pid, ret_seen);
	if (ret_seen->code)
		return ret_seen->code;
	if (!ret_seen->used)
		ret_seen->kind = claim == -EBUSY ? UB_USER_CLAIM : UB_USER_UNSEEN;
	return claim == -EBUSY || ret_seen->used || ret_seen->hidden ? -EBUSY : 0;
}

/* Nobody mounts it, say, while it is made smaller. Return: a descriptor or a negative errno. */
static int claim_unused(const struct run *r)
{
	int64_t openers_ms = ub_now_ms() + TRANSIENT_MS, udev_ms = ub_now_ms() + UDEV_MS;
	struct ub_unused_seen seen;

	for (;;) {
		_cleanup_close_ int claim = ub_claim_open(r->ctrl, &r->dev->info);
		int ret = claim < 0 && claim != -EBUSY ? claim : look(r, claim, &seen);

		if (!ret)
			return UB_TAKE_FD(claim);
		if (ret != -EBUSY)
			return fail(r, ret, "cannot tell whether it is in use: %s", strerror(-ret));
		if (ub_left_ms(seen.udev ? udev_ms : openers_ms) == 0)
			break;
		ub_close(&claim);
		(void)poll(NULL, 0, PAUSE_MS);
	}
	(void)ub_users_find(r->dev->id, r->dev->server.pid, r->users);
	if (!r->users->count)
		(void)ub_users_add(r->users, seen.kind, "", "", 0);
	return ub_fail_text(r->err, UB_STAGE_RESIZE, -EBUSY,
			    "cannot make ublkb%u smaller: it is in use", r->dev->id);
}

static const char *what_is_served(const struct run *r)
{
	return r->dev->record.backings.count == 1 ? backing_of(r)->path : "what it serves";
}

static int fail_room(const struct run *r)
{
	char there[16];

	return fail(r, -EFBIG, "%s has %s for it", what_is_served(r),
		    ub_format_size(r->room, there, sizeof(there)));
}

static int begin(const struct run *r)
{
	struct ub_control_answer answer;
	int ret = ask(r, UB_CONTROL_BEGIN_RESIZE, r->new, false, &answer);

	if (!ret)
		return 0;
	if (answer.value[0])
		return fail(r, ret, "its record can't be written: %s", strerror(-ret));
	switch (ret) {
	case -EFBIG:
		return fail_room(r);
	case -EBUSY:
		return fail(r, ret, "another device or program has locked that part of %s",
			    what_is_served(r));
	case -EDQUOT:
		return fail(r, ret, "it would have more than its --memory-limit");
	case -ENOBUFS:
		return fail(r, ret,
			    "the machine has less memory left than that would lock (--mlock)");
	case -ENOMEM:
	case -EAGAIN:
		return fail(r, ret, "its server can't have so much memory: %s", strerror(-ret));
	default:
		return fail_control(r, ret);
	}
}

/* Return: 0 or a negative errno. -ETIMEDOUT: the driver may come to it later. */
static int tell_driver(const struct run *r)
{
	int hold = ub_steady_hold(r->dev->id);
	uint64_t sectors;
	int ret = ub_fault("resize");

	/* Linux 6.16 to 6.18 crash where there is no disk. */
	if (!ret && !ub_dev_has_disk(r->dev->id))
		ret = -ENODEV;
	if (!ret)
		ret = ub_same_command(r->ctrl, &r->dev->info, UBLK_U_CMD_UPDATE_SIZE, r->new >> 9,
				      r->resize->timeout_ms);
	ub_steady_let_go(r->dev->id, &hold);
	if (!ret && ub_sysfs_u64(&sectors, "/sys/block/ublkb%u/size", r->dev->id) == 0 &&
	    sectors != r->new >> 9)
		ret = -EIO;
	return ret;
}

/* Waits until every request has ended that was there before: a limit that is written anew, as it is, has
 * the block layer do so (queue_limits_commit_update_frozen(), Linux 6.14). Return: has it? */
static bool wait_for_requests(const struct run *r)
{
	char path[64], value[32];
	_cleanup_close_ int fd = -1;
	int len;

	(void)snprintf(path, sizeof(path), "/sys/block/ublkb%u/queue/max_sectors_kb", r->dev->id);
	len = ub_sysfs_line(value, sizeof(value), "%s", path);
	fd = len > 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	return fd >= 0 && write(fd, value, (size_t)len) == len;
}

static int fail_driver(const struct run *r, int code)
{
	if (code == -ETIMEDOUT)
		return fail(r, code, "the driver does not answer, and may do it later");
	return code == -ENODEV ? fail(r, code, "it was stopped meanwhile")
			       : fail(r, code, "the driver refuses: %s", strerror(-code));
}

static int change(const struct run *r)
{
	struct ub_control_answer answer;
	int ret = begin(r), code;

	if (ret)
		return ret;
	code = tell_driver(r);
	if (code) {
		if (code != -ETIMEDOUT)
			(void)ask(r, UB_CONTROL_END_RESIZE, r->old, true, &answer);
		return fail_driver(r, code);
	}
	(void)ub_fault("resized");
	ret = ask(r, UB_CONTROL_END_RESIZE, r->new, r->new > r->old || wait_for_requests(r),
		  &answer);
	return ret ? fail_control(r, ret) : 0;
}

static int mark_resizing(struct ub_record *record, void *arg)
{
	(void)arg;
	record->resizing = true;
	return 0;
}

/* The next server is told by the record to serve what the driver has. One that comes meanwhile looks again
 * when the device is live; if that was before, it is told as any. */
static int change_parked(const struct run *r)
{
	struct ublksrv_ctrl_dev_info now;
	int ret;

	if (r->new > r->room)
		return fail_room(r);
	ret = ub_steady_edit(r->ctrl, &r->dev->info, mark_resizing, NULL);
	if (ret == -EBUSY || ret == -ENODEV)
		return fail(r, ret, "it has got a server meanwhile, or has gone");
	if (ret)
		return fail(r, ret, "its record can't be written: %s", strerror(-ret));
	ret = tell_driver(r);
	if (ret)
		return fail_driver(r, ret);
	return ub_same_info(r->ctrl, &r->dev->info, &now) == 0 && now.state == UBLK_S_DEV_LIVE
		       ? change(r)
		       : 0;
}

static int run(struct run *r)
{
	_cleanup_close_ int claim = -1;
	int ret = choose_size(r);

	if (ret || r->new == r->old)
		return ret;
	if (r->new < r->old && !r->resize->force && r->parked)
		return ub_fail_text(
			r->err, UB_STAGE_RESIZE, -EBUSY,
			"cannot make ublkb%u smaller: without a server it can't be told "
			"whether it is in use",
			r->dev->id);
	if (r->new < r->old && !r->resize->force) {
		claim = claim_unused(r);
		if (claim < 0)
			return claim;
	}
	ret = grow_backing(r);
	if (ret)
		return ret;
	return r->parked ? change_parked(r) : change(r);
}

int ub_dev_resize(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_resize *resize,
		  struct ub_users *ret_users, struct ub_error *err)
{
	struct run r = {.ctrl = ctrl,
			.dev = dev,
			.resize = resize,
			.parked = dev->info.state == UBLK_S_DEV_QUIESCED,
			.users = ret_users,
			.err = err};
	int ret = check(&r), lock;

	if (!ret)
		ret = ask_room(&r);
	if (ret)
		return ret;
	lock = ub_record_claim(UB_CLAIM_SIZE, dev->id, err);
	if (lock == -EAGAIN)
		return fail(&r, -EBUSY, "somebody else is doing it just now");
	if (lock < 0)
		return lock;
	ret = run(&r);
	ub_record_release(UB_CLAIM_SIZE, dev->id, &lock);
	return ret;
}
