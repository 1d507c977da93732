/* SPDX-License-Identifier: MIT */
/*
 * The target `null`: every request is done at once and nothing is kept. What a read returns is
 * whatever the request's buffer held: this device's own earlier data or zeroes, never other memory
 * of the server, since buffers are used for nothing else.
 */
#include "target/target.h"

#include <errno.h>

#define DEFAULT_SIZE (250ULL << 30)
#define DEFAULT_BLOCK 512U

struct null_args {
	uint64_t size;
};

static const struct ub_opt options[] = {
	{
		.name = "size",
		.changed_by = "ublk resize",
		.type = UB_OPT_SIZE,
		.offset = offsetof(struct null_args, size),
		.metavar = "SIZE",
		.help = "size of the device (default: 250G); what is read is undefined",
		.min = DEFAULT_BLOCK,
	},
	UB_OPT_END,
};

static void null_defaults(void *args)
{
	((struct null_args *)args)->size = DEFAULT_SIZE;
}

static int null_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		     struct ub_notes *notes, struct ub_error *err)
{
	struct null_args *a = args;
	int ret;

	tgt->logical_block_size = req->logical_block_size ? req->logical_block_size : DEFAULT_BLOCK;
	if (req->size)
		a->size = req->size;
	ret = ub_tgt_set_size(tgt, a->size, notes, err);
	if (ret < 0) {
		ub_tgt_close(tgt);
		return ret;
	}
	tgt->physical_block_size = tgt->logical_block_size;
	tgt->read_only = req->read_only;
	tgt->write_zeroes = !tgt->read_only;
	if (!tgt->read_only && !req->no_discard)
		tgt->discard_granularity = tgt->logical_block_size;
	return 0;
}

static void null_submit(struct ub_queue *q, struct ub_io *io)
{
	ub_io_end(q, io, 0);
}

static int null_make_room(struct ub_tgt *tgt, uint64_t size)
{
	(void)tgt;
	(void)size;
	return 0;
}

static void null_resized(struct ub_tgt *tgt, void *args)
{
	((struct null_args *)args)->size = tgt->size;
}

const struct ub_target ub_target_null = {
	.name = "null",
	.summary = "nothing: every request succeeds at once",
	.options = options,
	.args_size = sizeof(struct null_args),
	.recoverable = true,
	.defaults = null_defaults,
	.open = null_open,
	.submit = null_submit,
	.make_room = null_make_room,
	.resized = null_resized,
};
