/* SPDX-License-Identifier: MIT */
/* ublk top: what all devices of the machine, or some, do, on a screen that is drawn again and again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "commands.h"
#include "interrupt.h"
#include "stat_read.h"
#include "term.h"
#include "top_draw.h"
#include "top_screen.h"

#define INTERVAL_MAX 86400
#define FIRST_MS 300 /* the first interval is not waited for whole */

struct top_args {
	struct ub_stat_args source;
	uint32_t interval;
	char *sort;
};

#define AT(field) .offset = offsetof(struct top_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct ub_stat_args),
	{ .name = "interval", .letter = 'i', .type = UB_OPT_U32, AT(interval), .metavar = "SEC",
	  .min = 1, .max = INTERVAL_MAX,
	  .help = "so many seconds from one look to the next (default: 1)" },
	{ .name = "sort", .type = UB_OPT_STRING, AT(sort), .metavar = "COL,...",
	  .completer = "column",
	  .help = "order by these columns; with - before one: the other way round" },
	UB_OPT_END,
};
/* clang-format on */

struct live {
	struct ub_call *call;
	struct ub_ctrl *ctrl;
	struct ub_interrupt end, window; /* signals */
	struct ub_top top;
	struct ub_readings before, now;
	struct ub_stat_list shown;
	int64_t next_ms;
};

/* Takes what was read, with what a key has changed. */
static int show(struct live *live, struct ub_error *err)
{
	struct ub_stat_list stats = {0};
	int ret = ub_readings_since(&live->now, live->top.totals ? NULL : &live->before, true,
				    &stats);

	if (!ret)
		ret = ub_top_take(&live->top, &stats);
	if (ret) {
		ub_stat_list_done(&stats);
		return ub_fail(err, UB_STAGE_OUTPUT, ret, "cannot show the devices");
	}
	ub_stat_list_done(&live->shown);
	live->shown = stats;
	ret = ub_top_draw(&live->top);
	return ret ? ub_fail(err, UB_STAGE_OUTPUT, ret, "cannot show the devices") : 0;
}

static int look(struct live *live, struct ub_error *err)
{
	const struct top_args *args = live->call->args;
	struct ub_readings now = {0};
	int ret = ub_readings_take(&args->source, live->ctrl, &now, err);

	if (ret)
		return ret;
	ub_readings_done(&live->before);
	live->before = live->now;
	live->now = now;
	live->next_ms = now.at_ms + (int64_t)args->interval * 1000;
	return 0;
}

static void handle_window(struct live *live)
{
	struct signalfd_siginfo info;

	while (ub_interrupt_take(&live->window, &info)) {
		if (info.ssi_signo == SIGTSTP)
			ub_top_screen_stop();
		else if (info.ssi_signo == SIGCONT)
			ub_top_screen_renew();
		else
			ub_top_screen_resize();
	}
}

static void handle_keys(struct live *live)
{
	for (;;) {
		unsigned key = ub_top_screen_key();

		if (key == UB_KEY_NONE)
			return;
		if (key == UB_KEY_REDRAW)
			ub_top_screen_renew();
		ub_top_press(&live->top, key);
	}
}

/* Until there is something to do. Return: 1: draw; 2: it is time to look; 0: a signal, or the terminal is gone. */
static int wait_for_any(struct live *live)
{
	struct pollfd fds[] = {
		{.fd = live->end.fd, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = live->window.fd, .events = POLLIN},
	};
	int ret = poll(fds, UB_ARRAY_SIZE(fds), live->top.paused ? -1 : ub_left_ms(live->next_ms));

	if (ret < 0 && errno != EINTR)
		return -errno;
	if (ret == 0)
		return 2;
	if (fds[0].revents || (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)))
		return 0;
	if (fds[2].revents)
		handle_window(live);
	if (fds[1].revents)
		handle_keys(live);
	return 1;
}

/* Return: 0 when it is over, or a negative errno with a message. */
static int go_on(struct live *live, struct ub_error *err)
{
	int ret = look(live, err);

	live->next_ms = live->now.at_ms + FIRST_MS;
	while (!ret) {
		int what = wait_for_any(live);

		if (what < 0)
			return ub_fail(err, UB_STAGE_NONE, what, "cannot wait for keys");
		if (what == 0)
			return 0;
		/* Keys do not put off what is due. */
		if (what == 2 || (!live->top.paused && !ub_left_ms(live->next_ms)))
			ret = look(live, err);
		if (live->top.leaves)
			return 0;
		/* There is nothing yet to be compared with. */
		if (!ret && live->before.list)
			ret = show(live, err);
	}
	return ret;
}

static int open_all(struct live *live, struct ub_error *err)
{
	/* Whatever ends it: the terminal is to be as it was. */
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	static const int window[] = {SIGWINCH, SIGTSTP, SIGCONT};
	int ret = ub_interrupt_hold(ends, UB_ARRAY_SIZE(ends), &live->end);

	if (!ret)
		ret = ub_interrupt_hold(window, UB_ARRAY_SIZE(window), &live->window);
	if (ret)
		return ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices");
	ret = ub_ctrl_open(&live->ctrl, err);
	return ret ? ret : ub_top_screen_open(live->call->out.colour, err);
}

static enum ub_exit tell(struct ub_call *call, const struct ub_sort *sort)
{
	const struct top_args *args = call->args;
	struct live live = {
		.call = call,
		.end.fd = -1,
		.window.fd = -1,
		.top = {.interval = args->interval, .sort = *sort},
	};
	enum ub_exit status = UB_EXIT_DONE;
	struct ub_error err = {0};
	int ret = open_all(&live, &err);

	if (!ret)
		ret = go_on(&live, &err);
	ub_top_screen_close();
	if (ret)
		status = ub_call_fail(call, &err);
	ub_top_done(&live.top);
	ub_stat_list_done(&live.shown);
	ub_readings_done(&live.before);
	ub_readings_done(&live.now);
	ub_ctrl_closep(&live.ctrl);
	ub_interrupt_close(&live.window);
	ub_interrupt_close(&live.end);
	return status;
}

static enum ub_exit run(struct ub_call *call)
{
	struct top_args *args = call->args;
	struct ub_sort sort;
	struct ub_error err = {0};
	enum ub_exit found, told = UB_EXIT_DONE;

	if (!ub_term_has_screen(call->out.file) || !isatty(STDIN_FILENO)) {
		(void)ub_fail_text(&err, UB_STAGE_USAGE, -ENOTTY,
				   "it needs a terminal, to draw on and to read keys from");
		return ub_call_fail(call, &err);
	}
	if (ub_sort_choose(ub_stat_columns, args->sort, &sort, &err) < 0)
		return ub_call_fail(call, &err);
	found = ub_stat_find(call, &args->source);
	if (!args->source.named || args->source.nr_named)
		told = tell(call, &sort);
	return found ? found : told;
}

static void defaults(void *args)
{
	struct top_args *top = args;

	top->source.devices.id = -1;
	top->interval = 1;
}

static void done(void *args)
{
	ub_stat_args_done(&((struct top_args *)args)->source);
}

const struct ub_command ub_cmd_top = {
	.name = "top",
	.summary = "watch what all devices do, or some",
	.synopsis = "[OPTIONS] [DEV...]",
	.about =
		"Show on the whole screen what all devices do by the second, or those that are\n"
		"named, and how long it takes. Keys order, filter and look at one: h shows them.\n",
	.options = options,
	.fields = ub_stat_columns,
	.args_size = sizeof(struct top_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.defaults = defaults,
	.done = done,
	.run = run,
};
