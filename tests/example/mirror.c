/* SPDX-License-Identifier: MIT */
/*
 * An example of a target, which doc/contributing.md goes through and tests/device/example.bats runs: what is
 * written goes to two files or disks, its legs, and what is read comes from the first, or from the second if
 * that fails. A write that one leg fails fails, whatever the other one has done.
 *
 * A mirror for data that matters has more to do. To go on with one leg, it makes durable which one is not to be
 * read any more before it answers the write that the other one alone has. After a write that failed, or that a
 * dead server has left half done and nobody does again, it makes the legs the same. And since the kernel tells
 * of a failed write-back once, it syncs as loop does (lib/target/loop_sync.c).
 */
#include "target/target.h"

#include <errno.h>

#include "kernel/uapi.h"
#include "target/backing.h"

#define LEGS 2U
#define BLOCK 512U

struct mirror_args {
	char *leg[LEGS];
};

/* Of an I/O. */
struct mirror_io {
	unsigned left; /* operations that have not ended */
	int error;     /* of those that have */
};

enum { STEP_MOVE, STEP_SYNC };

static const struct ub_opt options[] = {
	{
		.name = "leg-a",
		.type = UB_OPT_STRING,
		.offset = offsetof(struct mirror_args, leg[0]),
		.metavar = "FILE",
		.help = "regular file or block device that is read, and written",
		.completer = "file",
		.required = 1,
	},
	{
		.name = "leg-b",
		.type = UB_OPT_STRING,
		.offset = offsetof(struct mirror_args, leg[1]),
		.metavar = "FILE",
		.help = "the one that is written, too",
		.completer = "file",
		.required = 1,
	},
	UB_OPT_END,
};

static int mirror_check(const void *args, struct ub_error *err)
{
	const struct mirror_args *a = args;

	for (unsigned leg = 0; leg < LEGS; leg++)
		if (!a->leg[leg] || !a->leg[leg][0])
			return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "missing a leg");
	return 0;
}

/* Their paths mean the same to a server from here on. */
static int mirror_call(void *args, struct ub_caller *ret_caller, struct ub_error *err)
{
	struct mirror_args *a = args;
	bool nameless = false;

	if (mirror_check(a, NULL) != 0)
		return 0;
	for (unsigned leg = 0; leg < LEGS; leg++) {
		int ret = ub_caller_file(&a->leg[leg], ret_caller, err);

		if (ret < 0)
			return ret;
		if (ret_caller->fd >= 0)
			return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL,
					    "cannot mirror to a descriptor: name the file");
		nameless |= ret_caller->nameless;
	}
	ret_caller->nameless = nameless;
	return 0;
}

/* What both legs have. A recovery serves what the device has: they may have grown since. */
static uint64_t choose_size(const struct ub_tgt *tgt, const struct ub_open_request *req)
{
	uint64_t size = req->size     ? req->size
			: req->expect ? req->expect->at[0].length
				      : UINT64_MAX;

	for (unsigned leg = 0; leg < LEGS; leg++)
		if (tgt->backings.at[leg].size < size)
			size = tgt->backings.at[leg].size;
	return size;
}

static int open_legs(struct ub_tgt *tgt, const struct mirror_args *a,
		     const struct ub_open_request *req, struct ub_notes *notes,
		     struct ub_error *err)
{
	int ret = mirror_check(a, err);

	for (unsigned leg = 0; leg < LEGS && ret == 0; leg++) {
		ret = ub_backing_open(tgt, a->leg[leg], 0, req, notes, err);
		tgt->read_only |= !tgt->backings.at[leg].writable;
	}
	if (ret == 0 && !req->probe)
		ub_backings_note(tgt, notes);
	if (ret == 0)
		ret = ub_tgt_set_size(tgt, choose_size(tgt, req), notes, err);
	for (unsigned leg = 0; leg < LEGS && ret == 0; leg++) {
		tgt->backings.at[leg].length = tgt->size;
		ret = ub_backing_take(tgt, leg, req, err);
	}
	return ret;
}

static int mirror_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		       struct ub_notes *notes, struct ub_error *err)
{
	int ret;

	tgt->logical_block_size = tgt->physical_block_size =
		req->logical_block_size ? req->logical_block_size : BLOCK;
	tgt->ops_per_io = LEGS;
	ret = open_legs(tgt, args, req, notes, err);
	if (ret < 0)
		ub_tgt_close(tgt);
	else
		tgt->volatile_cache = !tgt->read_only;
	return ret;
}

/* A read is over with its one operation; of a write nobody but this target knows which one is the last. */
static void move(struct ub_queue *q, struct ub_io *io, unsigned leg)
{
	struct mirror_io *m = ub_io_state(q, io);

	m->left++;
	if (io->op == UBLK_IO_OP_READ)
		ub_io_read(q, io, leg | UB_OP_ID(leg) | UB_OP_LAST, 0, io->len, io->offset);
	else
		ub_io_write(q, io, leg | UB_OP_ID(leg), 0, io->len, io->offset);
}

static void sync_legs(struct ub_queue *q, struct ub_io *io)
{
	struct mirror_io *m = ub_io_state(q, io);

	io->step = STEP_SYNC;
	m->left = LEGS;
	for (unsigned leg = 0; leg < LEGS; leg++)
		ub_io_fsync(q, io, leg | UB_OP_ID(leg), 0, 0);
}

static void mirror_submit(struct ub_queue *q, struct ub_io *io)
{
	*(struct mirror_io *)ub_io_state(q, io) = (struct mirror_io){0};
	switch (io->op) {
	case UBLK_IO_OP_READ:
		move(q, io, 0);
		break;
	case UBLK_IO_OP_WRITE:
		for (unsigned leg = 0; leg < LEGS; leg++)
			move(q, io, leg);
		break;
	case UBLK_IO_OP_FLUSH:
		sync_legs(q, io);
		break;
	default:
		ub_io_end(q, io, -EOPNOTSUPP);
	}
}

static void mirror_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	struct mirror_io *m = ub_io_state(q, io);
	bool whole = io->step == STEP_SYNC ? res == 0 : res == (int)io->len;

	m->left--;
	if (!whole && io->op == UBLK_IO_OP_READ && id == 0) {
		move(q, io, 1);
		return;
	}
	if (!whole)
		m->error = res < 0 ? res : -EIO;
	if (m->left)
		return;
	if (!m->error && io->op == UBLK_IO_OP_WRITE && io->flags & UBLK_IO_F_FUA &&
	    io->step == STEP_MOVE)
		sync_legs(q, io);
	else
		ub_io_end(q, io, m->error);
}

const struct ub_target ub_target_mirror = {
	.name = "mirror",
	.summary = "two files or disks that are the same",
	.options = options,
	.args_size = sizeof(struct mirror_args),
	.io_size = sizeof(struct mirror_io),
	.recoverable = true,
	.zero_copy = true,
	.check = mirror_check,
	.call = mirror_call,
	.open = mirror_open,
	.submit = mirror_submit,
	.complete = mirror_complete,
};
