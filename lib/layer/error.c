/* SPDX-License-Identifier: MIT */
/*
 * The layer `error`: I/Os fail before they come to the target: all of them, some by chance, those of a range,
 * and with a file that says so only as long as that is there. Its directory is kept open from the start on,
 * and each I/O that would fail looks there once, so it should lie where that does not wait (/run).
 */
#include "layer/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "layer/chance.h"
#include "layer/ops.h"

/* Of those that a client learns of (blk_errors[] in Linux' blk-core.c) those that a disk may have. */
static const char *const names[] = {"EIO",       "ENOSPC", "EOPNOTSUPP", "ETIMEDOUT", "ENOLINK",
				    "EREMOTEIO", "EBADE",  "ENODATA",    "EILSEQ",    NULL};
static const int codes[] = {EIO,       ENOSPC, EOPNOTSUPP, ETIMEDOUT, ENOLINK,
			    EREMOTEIO, EBADE,  ENODATA,    EILSEQ};

_Static_assert(UB_ARRAY_SIZE(names) == UB_ARRAY_SIZE(codes) + 1, "each name has its code");

struct error_args {
	int code; /* index into codes */
	uint32_t one_in;
	uint64_t offset, length;
	char *ops, *file;
};

struct error {
	int dir; /* of the file; -1: there is none */
	uint32_t mask;
};

#define AT(field) .offset = offsetof(struct error_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "errno", .type = UB_OPT_CHOICE, AT(code), .choices = names,
	  .help = "the error (default: EIO)" },
	{ .name = "one-in", .type = UB_OPT_U32, AT(one_in), .metavar = "N", .min = 1,
	  .help = "one of so many, by chance (default: 1, all of them)" },
	{ .name = "offset", .type = UB_OPT_SIZE, AT(offset), .metavar = "SIZE",
	  .help = "what touches the device from there on (default: 0)" },
	{ .name = "length", .type = UB_OPT_SIZE, AT(length), .metavar = "SIZE", .min = 512,
	  .help = "and so many bytes (default: to its end)" },
	{ .name = "ops", .type = UB_OPT_STRING, AT(ops), .metavar = "LIST", .help = UB_LAYER_OPS_HELP },
	{ .name = "file", .type = UB_OPT_STRING, AT(file), .metavar = "FILE", .completer = "file",
	  .help = "only as long as this file is there" },
	UB_OPT_END,
};
/* clang-format on */

static void error_defaults(void *args)
{
	((struct error_args *)args)->one_in = 1;
}

static int error_check(const void *args, struct ub_error *err)
{
	uint32_t mask;

	return ub_layer_ops("error", ((const struct error_args *)args)->ops, &mask, err);
}

static const char *error_file(const void *args)
{
	return ((const struct error_args *)args)->file;
}

static int open_dir(const char *file)
{
	_cleanup_free_ char *dir = strndup(file, (size_t)(strrchr(file, '/') - file + 1));
	int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 ? -errno : fd;
}

static void error_close(struct ub_layer_on *on)
{
	struct error *error = on->state;

	ub_close(&error->dir);
	free(error);
}

static int error_open(struct ub_layer_on *on, const char *path, struct ub_error *err)
{
	const struct error_args *args = on->args;
	struct error *error = calloc(1, sizeof(*error));
	int ret;

	if (!error)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make layer error");
	on->state = error;
	error->dir = -1;
	ret = ub_layer_ops("error", args->ops, &error->mask, err);
	if (!ret && path) {
		error->dir = ret = open_dir(path);
		if (ret < 0)
			ret = ub_fail(err, UB_STAGE_LAYER, ret,
				      "layer error: cannot open the directory of %s", args->file);
		else
			ret = 0;
	}
	if (ret)
		error_close(on);
	return ret;
}

/* A flush is of everything. */
static bool is_touched(const struct error_args *args, const struct ub_io *io)
{
	if (io->op == UBLK_IO_OP_FLUSH)
		return true;
	if (io->offset < args->offset)
		return io->len > args->offset - io->offset;
	return !args->length || io->offset - args->offset < args->length;
}

static bool fails(struct ub_queue *q, const struct ub_io *io, unsigned at)
{
	const struct ub_layer_on *on = ub_layer_on(q, at);
	const struct error_args *args = on->args;
	const struct error *error = on->state;

	if (!ub_layer_has(error->mask, io) || !is_touched(args, io))
		return false;
	if (args->one_in > 1 && ub_chance(ub_layer_queue_state(q, at)) % args->one_in)
		return false;
	return error->dir < 0 ||
	       faccessat(error->dir, strrchr(args->file, '/') + 1, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void error_submit(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	const struct error_args *args = ub_layer_on(q, at)->args;

	if (fails(q, io, at))
		ub_layer_end(q, io, at, -codes[args->code]);
	else
		ub_layer_pass(q, io, at);
}

const struct ub_layer ub_layer_error = {
	.name = "error",
	.summary = "I/Os fail",
	.options = options,
	.args_size = sizeof(struct error_args),
	.queue_size = sizeof(uint64_t),
	.defaults = error_defaults,
	.check = error_check,
	.file = error_file,
	.open = error_open,
	.submit = error_submit,
	.close = error_close,
};
