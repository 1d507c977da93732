/* SPDX-License-Identifier: MIT */
/*
 * The layer `rate`: at most so many I/Os and bytes a second, over all threads. For each of the two it keeps
 * the time at which all that has come so far would be done at that rate (the generic cell rate algorithm,
 * which is a token bucket without a count of tokens); who comes so far ahead of it as the burst allows, waits.
 * In the order in which they came.
 */
#include "layer/layer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "layer/ops.h"

#define SECOND 1000000000ULL

struct rate_args {
	uint32_t iops, burst_ms;
	uint64_t bytes;
	char *ops;
};

/* One bucket. */
struct bucket {
	_Atomic uint64_t done_at; /* ns, CLOCK_MONOTONIC */
	uint64_t per_second;      /* 0: as many as one likes */
};

struct rate {
	struct bucket ios, bytes;
	uint64_t burst_ns;
	uint32_t mask;
};

#define AT(field) .offset = offsetof(struct rate_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "iops", .type = UB_OPT_U32, AT(iops), .metavar = "N", .min = 1, .max = 1000000000,
	  .help = "I/Os in a second, at the most" },
	{ .name = "bytes", .type = UB_OPT_SIZE, AT(bytes), .metavar = "SIZE", .min = 512,
	  .max = 1ULL << 50, .help = "bytes read and written in a second, at the most" },
	{ .name = "burst-ms", .type = UB_OPT_U32, AT(burst_ms), .metavar = "N", .max = 60000,
	  .help = "what so many milliseconds allow may come at once (default: 100)" },
	{ .name = "ops", .type = UB_OPT_STRING, AT(ops), .metavar = "LIST", .help = UB_LAYER_OPS_HELP },
	UB_OPT_END,
};
/* clang-format on */

static void rate_defaults(void *args)
{
	((struct rate_args *)args)->burst_ms = 100;
}

static int read_args(const struct rate_args *args, struct rate *ret_rate, struct ub_error *err)
{
	*ret_rate = (struct rate){.ios = {.per_second = args->iops},
				  .bytes = {.per_second = args->bytes},
				  .burst_ns = args->burst_ms * 1000000ULL};
	if (!args->iops && !args->bytes)
		return ub_fail_usage(err, "layer rate: it needs a rate: iops or bytes");
	return ub_layer_ops("rate", args->ops, &ret_rate->mask, err);
}

static int rate_check(const void *args, struct ub_error *err)
{
	struct rate rate;

	return read_args(args, &rate, err);
}

static int rate_open(struct ub_layer_on *on, const char *path, struct ub_error *err)
{
	struct rate *rate = calloc(1, sizeof(*rate));
	int ret;

	(void)path;
	if (!rate)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make layer rate");
	ret = read_args(on->args, rate, err);
	if (ret)
		free(rate);
	else
		on->state = rate;
	return ret;
}

/* Takes @units out of it. Return: how long that has to wait, ns. */
static uint64_t take(struct bucket *b, uint64_t units, uint64_t now, uint64_t burst_ns)
{
	uint64_t was, from, least = now > burst_ns ? now - burst_ns : 0;

	if (!b->per_second || !units)
		return 0;
	was = atomic_load_explicit(&b->done_at, memory_order_relaxed);
	do
		from = was > least ? was : least;
	while (!atomic_compare_exchange_weak_explicit(
		&b->done_at, &was,
		from + (uint64_t)((unsigned __int128)units * SECOND / b->per_second),
		memory_order_relaxed, memory_order_relaxed));
	return from > now ? from - now : 0;
}

static void rate_submit(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	struct rate *rate = ub_layer_on(q, at)->state;
	bool moves = io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE;
	uint64_t now, ios, bytes;

	if (!ub_layer_has(rate->mask, io)) {
		ub_layer_pass(q, io, at);
		return;
	}
	now = ub_now_ns();
	ios = take(&rate->ios, 1, now, rate->burst_ns);
	bytes = take(&rate->bytes, moves ? io->len : 0, now, rate->burst_ns);
	if (bytes > ios)
		ios = bytes;
	if (ios)
		ub_layer_wait(q, io, at, ios);
	else
		ub_layer_pass(q, io, at);
}

static void rate_close(struct ub_layer_on *on)
{
	free(on->state);
}

const struct ub_layer ub_layer_rate = {
	.name = "rate",
	.summary = "at most so many I/Os and bytes a second",
	.options = options,
	.args_size = sizeof(struct rate_args),
	.defaults = rate_defaults,
	.check = rate_check,
	.open = rate_open,
	.submit = rate_submit,
	.waited = ub_layer_pass,
	.close = rate_close,
};
