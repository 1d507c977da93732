/* SPDX-License-Identifier: MIT */
/*
 * An example of a target, which doc/contributing.md goes through and tests/device/example.bats runs: what is
 * written goes to two files, what is read comes from the first, or from the second if that fails.
 */
#include "target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kernel/uapi.h"

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
		.help = "what is read, and written",
		.completer = "file",
		.required = 1,
	},
	{
		.name = "leg-b",
		.type = UB_OPT_STRING,
		.offset = offsetof(struct mirror_args, leg[1]),
		.metavar = "FILE",
		.help = "what is written, too",
		.completer = "file",
		.required = 1,
	},
	UB_OPT_END,
};

static int mirror_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		       struct ub_notes *notes, struct ub_error *err)
{
	const struct mirror_args *a = args;
	off_t size = 0, end;

	for (unsigned leg = 0; leg < LEGS; leg++) {
		int fd = open(a->leg[leg], O_RDWR | O_CLOEXEC);

		if (fd >= 0)
			tgt->files[tgt->nr_files++] = fd;
		end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
		if (end < 0) {
			int ret = ub_fail(err, UB_STAGE_BACKING, -errno, "cannot open %s",
					  a->leg[leg]);

			ub_tgt_close(tgt);
			return ret;
		}
		size = leg && size < end ? size : end;
	}
	tgt->logical_block_size = tgt->physical_block_size =
		req->logical_block_size ? req->logical_block_size : BLOCK;
	tgt->ops_per_io = LEGS;
	tgt->volatile_cache = true;
	tgt->read_only = req->read_only;
	if (ub_tgt_set_size(tgt, (uint64_t)size, notes, err) < 0) {
		ub_tgt_close(tgt);
		return -EINVAL;
	}
	return 0;
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
	.summary = "two files that are the same",
	.options = options,
	.args_size = sizeof(struct mirror_args),
	.io_size = sizeof(struct mirror_io),
	.zero_copy = true,
	.open = mirror_open,
	.submit = mirror_submit,
	.complete = mirror_complete,
};
