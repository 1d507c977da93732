/* SPDX-License-Identifier: MIT */
/*
 * The layer `readonly-after`: after so many writes, bytes of them, or seconds, whichever comes first,
 * everything that changes data fails, as with a disk that has worn out. It counts anew with each server.
 */
#include "layer/layer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kernel/uapi.h"

struct after_args {
	uint32_t writes, sec;
	uint64_t bytes;
};

struct after {
	_Atomic uint64_t writes, bytes;
	int64_t began_ms;
};

#define AT(field) .offset = offsetof(struct after_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "writes", .type = UB_OPT_U32, AT(writes), .metavar = "N", .min = 1,
	  .help = "writes, discards and zeroes that succeed before" },
	{ .name = "bytes", .type = UB_OPT_SIZE, AT(bytes), .metavar = "SIZE", .min = 512,
	  .help = "bytes of these" },
	{ .name = "sec", .type = UB_OPT_U32, AT(sec), .metavar = "N", .min = 1, .max = 1000000000,
	  .help = "seconds before, from the start of the server on" },
	UB_OPT_END,
};
/* clang-format on */

static int after_check(const void *args, struct ub_error *err)
{
	const struct after_args *a = args;

	return a->writes || a->bytes || a->sec
		       ? 0
		       : ub_fail_usage(err, "layer readonly-after: it needs writes, bytes or sec");
}

static int after_open(struct ub_layer_on *on, const char *path, struct ub_error *err)
{
	struct after *after = calloc(1, sizeof(*after));

	(void)path;
	if (!after)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make layer readonly-after");
	after->began_ms = ub_now_ms();
	on->state = after;
	return 0;
}

/* One more change, of @bytes: is it one too many? */
static bool is_over(struct after *after, const struct after_args *args, uint64_t bytes)
{
	bool over = args->sec && ub_now_ms() - after->began_ms >= args->sec * 1000LL;

	if (args->writes)
		over |= atomic_fetch_add_explicit(&after->writes, 1, memory_order_relaxed) >=
			args->writes;
	if (args->bytes)
		over |= atomic_fetch_add_explicit(&after->bytes, bytes, memory_order_relaxed) +
				bytes >
			args->bytes;
	return over;
}

static void after_submit(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	const struct ub_layer_on *on = ub_layer_on(q, at);
	bool changes = io->op != UBLK_IO_OP_READ && io->op != UBLK_IO_OP_FLUSH;

	if (changes && is_over(on->state, on->args, io->len))
		ub_layer_end(q, io, at, -EIO);
	else
		ub_layer_pass(q, io, at);
}

static void after_close(struct ub_layer_on *on)
{
	free(on->state);
}

const struct ub_layer ub_layer_readonly_after = {
	.name = "readonly-after",
	.summary = "what changes data fails after a while",
	.options = options,
	.args_size = sizeof(struct after_args),
	.check = after_check,
	.open = after_open,
	.submit = after_submit,
	.close = after_close,
};
