/* SPDX-License-Identifier: MIT */
/* The layer `delay`: each I/O waits for a time, fixed or spread, before it goes on. A timer of its own wakes
 * it, so that no other one waits for it. */
#include "layer/layer.h"

#include <errno.h>
#include <stdlib.h>

#include "layer/chance.h"
#include "layer/ops.h"

#define MS_MAX 60000U

struct delay_args {
	uint32_t ms, us, spread_ms, spread_us;
	char *ops;
};

struct delay {
	uint64_t ns, spread_ns;
	uint32_t mask;
};

#define AT(field) .offset = offsetof(struct delay_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "ms", .type = UB_OPT_U32, AT(ms), .metavar = "N", .max = MS_MAX,
	  .help = "milliseconds that it waits" },
	{ .name = "us", .type = UB_OPT_U32, AT(us), .metavar = "N", .max = MS_MAX * 1000,
	  .help = "microseconds, besides" },
	{ .name = "spread-ms", .type = UB_OPT_U32, AT(spread_ms), .metavar = "N", .max = MS_MAX,
	  .help = "up to so many milliseconds more, each time others" },
	{ .name = "spread-us", .type = UB_OPT_U32, AT(spread_us), .metavar = "N", .max = MS_MAX * 1000,
	  .help = "microseconds, besides" },
	{ .name = "ops", .type = UB_OPT_STRING, AT(ops), .metavar = "LIST", .help = UB_LAYER_OPS_HELP },
	UB_OPT_END,
};
/* clang-format on */

static uint64_t ns_of(uint32_t ms, uint32_t us)
{
	return ms * 1000000ULL + us * 1000ULL;
}

static int read_args(const struct delay_args *args, struct delay *ret_delay, struct ub_error *err)
{
	*ret_delay = (struct delay){.ns = ns_of(args->ms, args->us),
				    .spread_ns = ns_of(args->spread_ms, args->spread_us)};
	if (!ret_delay->ns && !ret_delay->spread_ns)
		return ub_fail_usage(
			err, "layer delay: it needs a time: ms, us, spread-ms or spread-us");
	return ub_layer_ops("delay", args->ops, &ret_delay->mask, err);
}

static int delay_check(const void *args, struct ub_error *err)
{
	struct delay delay;

	return read_args(args, &delay, err);
}

static uint64_t delay_most_ms(const void *args)
{
	const struct delay_args *a = args;

	return (ns_of(a->ms, a->us) + ns_of(a->spread_ms, a->spread_us)) / 1000000;
}

static int delay_open(struct ub_layer_on *on, const char *path, struct ub_error *err)
{
	struct delay delay, *copy;
	int ret = read_args(on->args, &delay, err);

	(void)path;
	if (ret)
		return ret;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make layer delay");
	*copy = delay;
	on->state = copy;
	return 0;
}

static void delay_submit(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	const struct delay *delay = ub_layer_on(q, at)->state;
	uint64_t ns = delay->ns;

	if (!ub_layer_has(delay->mask, io)) {
		ub_layer_pass(q, io, at);
		return;
	}
	if (delay->spread_ns)
		ns += ub_chance(ub_layer_queue_state(q, at)) % (delay->spread_ns + 1);
	ub_layer_wait(q, io, at, ns);
}

static void delay_close(struct ub_layer_on *on)
{
	free(on->state);
}

const struct ub_layer ub_layer_delay = {
	.name = "delay",
	.summary = "each I/O waits for a while",
	.options = options,
	.args_size = sizeof(struct delay_args),
	.queue_size = sizeof(uint64_t),
	.check = delay_check,
	.most_ms = delay_most_ms,
	.open = delay_open,
	.submit = delay_submit,
	.waited = ub_layer_pass,
	.close = delay_close,
};
