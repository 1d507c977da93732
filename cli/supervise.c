/* SPDX-License-Identifier: MIT */
#include "supervise.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/retry.h"
#include "charge.h"
#include "device/events.h"
#include "device/restart.h"
#include "interrupt.h"
#include "process/forget.h"
#include "process/inherit.h"
#include "process/program.h"

/* Recoveries that are under way at the most: the end of one is the next one's turn. */
#define AT_ONCE_MAX 32
/* Between two looks: so much, or so many times as long as the one before took. */
#define REST_MS 20
#define REST_TIMES 4
/* Whoever wants to know whether there is such a process takes the lock for a moment. */
#define CLAIM_MS 300
/* How soon it looks again when it could not: memory is short, say. */
#define FAILED_MS 5000

struct supervisor {
	struct ub_ctrl *ctrl;
	struct ub_events *events;
	struct ub_interrupt interrupt;
	/* Whose `recover` it is: by its path, so that it is the installed one. */
	char program[PATH_MAX];
	struct ub_charge *charges;
	size_t count;
	struct ub_restart_news *told;
	size_t told_count;
	bool looks_again; /* also without an event */
	struct ub_log log;
	int64_t rests_ms; /* until then it does not look again */
};

static void complain(struct supervisor *s, const char *what, const char *why)
{
	(void)snprintf(s->log.name, sizeof(s->log.name), "supervise");
	ub_log(&s->log, LOG_ERR, "%s: %s", what, why);
}

static struct ub_charge *find_charge(struct supervisor *s, const struct ub_dev *dev)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->charges[i].id == dev->id && s->charges[i].token == dev->info.ublksrv_flags)
			return &s->charges[i];
	return NULL;
}

/* What was told of it by a process before this one stays. */
static struct ub_charge *add_charge(struct supervisor *s, const struct ub_dev *dev)
{
	struct ub_charge *more = reallocarray(s->charges, s->count + 1, sizeof(*more));

	if (!more)
		return NULL;
	s->charges = more;
	more += s->count++;
	*more = (struct ub_charge){
		.id = dev->id,
		.token = dev->info.ublksrv_flags,
		.restart = {.state = UB_RESTART_WATCHED, .count = dev->restart.count},
		.pidfd = -1,
		.output = -1,
	};
	return more;
}

/* Puts those that are to be restarted first. Return: how many. */
static size_t sort_out(struct ub_dev *devs, size_t count)
{
	size_t wanted = 0;

	for (size_t i = 0; i < count; i++) {
		struct ub_dev dev = devs[i];

		if (dev.restart.state == UB_RESTART_NO)
			continue;
		devs[i] = devs[wanted];
		devs[wanted++] = dev;
	}
	return wanted;
}

/* One that could not be asked about just now is still there. */
static bool is_gone(const struct supervisor *s, const struct ub_charge *charge)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_ctrl_get_info(s->ctrl, charge->id, &info);

	return ret == -ENODEV || (ret == 0 && info.ublksrv_flags != charge->token);
}

/* @wanted: so many of them, the first, are to be restarted. */
static int see_all(struct supervisor *s, const struct ub_dev *devs, size_t wanted, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++)
		s->charges[i].is_there = s->charges[i].needs_server = false;
	for (size_t i = 0; i < count; i++) {
		struct ub_charge *charge = find_charge(s, &devs[i]);

		if (!charge && i < wanted)
			charge = add_charge(s, &devs[i]);
		if (!charge && i < wanted)
			return -ENOMEM;
		if (charge && i < wanted)
			ub_charge_see(charge, &devs[i]);
		else if (charge && devs[i].managed)
			charge->token = 0; /* it is not to be restarted any more */
	}
	for (size_t i = 0; i < s->count; i++) {
		struct ub_charge *charge = &s->charges[i];

		if (!charge->is_there && !charge->child && is_gone(s, charge)) {
			ub_charge_drop(charge);
			continue;
		}
		s->looks_again |= !charge->is_there;
		s->charges[kept++] = *charge;
	}
	s->count = kept;
	return 0;
}

/* However much happens, most of the time is not this process's. */
static void set_rest(struct supervisor *s, int64_t began_ms)
{
	int64_t now = ub_now_ms(), rest = REST_TIMES * (now - began_ms);

	s->rests_ms = now + (rest > REST_MS ? rest : REST_MS);
}

static int look(struct supervisor *s, struct ub_error *err)
{
	int64_t began_ms = ub_now_ms();
	struct ub_dev *devs;
	size_t count, wanted;
	int ret = ub_dev_list(s->ctrl, &devs, &count, err);

	if (ret)
		return ret;
	s->looks_again = false;
	wanted = sort_out(devs, count);
	ret = see_all(s, devs, wanted, count);
	if (!ret)
		ret = ub_events_follow(s->events, devs, wanted);
	ub_dev_list_free(devs, count);
	s->looks_again |= ret > 0 || !ub_events_are_past(s->events);
	set_rest(s, began_ms);
	return ret < 0 ? ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices") : 0;
}

static unsigned count_children(const struct supervisor *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < s->count; i++)
		count += s->charges[i].child != 0;
	return count;
}

static int try_all(struct supervisor *s)
{
	int least = -1;

	for (size_t i = 0; i < s->count && count_children(s) < AT_ONCE_MAX; i++) {
		int ms = ub_charge_try(&s->charges[i], s->program, &s->log);

		if (ms >= 0 && (least < 0 || ms < least))
			least = ms;
	}
	return least;
}

/* Others are what a look has left behind, since it hung (process/helper.h). */
static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->count; i++)
			if (s->charges[i].child == pid)
				ub_charge_ended(&s->charges[i], status, &s->log);
}

/* Before the first news there may be those of a process that was killed. */
static bool is_told(const struct supervisor *s)
{
	if (!s->told || s->told_count != s->count)
		return false;
	for (size_t i = 0; i < s->count; i++) {
		const struct ub_restart_news *told = &s->told[i];
		const struct ub_charge *now = &s->charges[i];

		if (told->id != now->id || told->token != now->token ||
		    told->restart.state != now->restart.state ||
		    told->restart.count != now->restart.count)
			return false;
	}
	return true;
}

/* What cannot be told is told with the next news. */
static void tell(struct supervisor *s)
{
	struct ub_restart_news *news;

	if (is_told(s))
		return;
	news = calloc(s->count + 1, sizeof(*news));
	if (!news)
		return;
	for (size_t i = 0; i < s->count; i++)
		news[i] = (struct ub_restart_news){.id = s->charges[i].id,
						   .token = s->charges[i].token,
						   .restart = s->charges[i].restart};
	if (ub_restart_tell(news, s->count) != 0) {
		free(news);
		return;
	}
	free(s->told);
	s->told = news;
	s->told_count = s->count;
}

/* Until something has happened, or @ms are over. Return: 1, 0: there is a signal, or a negative errno. */
static int wait_for_change(struct supervisor *s, int ms)
{
	_cleanup_free_ struct pollfd *fds = calloc(s->count + 2, sizeof(*fds));
	int pause = s->looks_again ? ub_events_pause(s->events) : -1, ready;
	int64_t until;
	bool ours;

	if (!fds)
		return -ENOMEM;
	fds[0] = (struct pollfd){.fd = s->interrupt.fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = ub_events_fd(s->events), .events = POLLIN};
	for (size_t i = 0; i < s->count; i++) {
		fds[2 + i] = (struct pollfd){.fd = s->charges[i].pidfd, .events = POLLIN};
		if (s->charges[i].child && s->charges[i].pidfd < 0 && pause < 0)
			pause = ub_events_pause(s->events);
	}
	if (pause < 0 || (ms >= 0 && ms < pause))
		pause = ms;
	until = ub_now_ms() + pause;
	ub_process_forget();
	do {
		ready = poll(fds, s->count + 2, pause < 0 ? -1 : ub_left_ms(until));
		if (ready < 0 && errno != EINTR)
			return -errno;
		ours = ready > 0 && fds[1].revents && ub_events_take(s->events);
	} while (ready == 1 && fds[1].revents && !ours);
	if (ready >= 0 && !fds[0].revents)
		ready = poll(fds, 1, ub_left_ms(s->rests_ms));
	reap(s);
	return ready <= 0 || !fds[0].revents;
}

/* Return: 1: nobody is to be restarted any more; 0: there is a signal; or a negative errno with a message. */
static int watch(struct supervisor *s, struct ub_error *err)
{
	struct ub_error passing;
	int ret, ms;

	for (;;) {
		passing = (struct ub_error){0};
		ret = look(s, &passing);
		ms = ret ? FAILED_MS : try_all(s);
		if (ret)
			complain(s, "cannot look", passing.msg);
		else
			tell(s);
		if (!ret && !s->count)
			return 1;
		ret = wait_for_change(s, ms);
		if (ret <= 0)
			return ret ? ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices")
				   : 0;
	}
}

static int claim(struct ub_error *err)
{
	struct ub_retry retry;
	int lock;

	ub_retry_init(&retry, CLAIM_MS);
	do
		lock = ub_restart_claim(err);
	while (lock == -EAGAIN && ub_retry_wait(&retry));
	return lock == -EAGAIN ? ub_fail_text(err, UB_STAGE_NONE, -EALREADY,
					      "another process restarts servers already")
			       : lock;
}

/* One that is made after the last look, and before the lock is let go, has seen it. */
static int serve(struct supervisor *s, struct ub_error *err)
{
	int lock, ret = 1;

	do {
		lock = claim(err);
		if (lock < 0)
			return lock;
		ret = watch(s, err);
		ub_restart_release(&lock);
		if (ret == 1)
			ret = look(s, err) ?: 1;
	} while (ret == 1 && s->count);
	return ret < 0 ? ret : 0;
}

static int open_all(struct supervisor *s, struct ub_error *err)
{
	int ret = ub_program_find_own(s->program);

	if (ret)
		return ub_fail(err, UB_STAGE_NONE, ret, "cannot find this program");
	ret = ub_ctrl_open(&s->ctrl, err);
	if (!ret)
		ret = ub_events_open(&s->events, err);
	if (ret)
		return ret;
	ret = ub_interrupt_open(&s->interrupt);
	return ret ? ub_fail(err, UB_STAGE_NONE, ret, "cannot watch for signals") : 0;
}

int ub_supervise(struct ub_error *err)
{
	struct supervisor s = {.interrupt.fd = -1};
	int ret;

	/* Whoever has started it may have left it ignored: no child's end could be waited for. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)ub_inherit_no_limit(RLIMIT_NOFILE);
	ub_log_init(&s.log, "ublk", isatty(STDERR_FILENO));
	ret = open_all(&s, err);
	if (!ret)
		ret = serve(&s, err);
	if (ret < 0 && ret != -EALREADY)
		complain(&s, "servers are not restarted any more", err->msg);
	for (size_t i = 0; i < s.count; i++)
		ub_charge_drop(&s.charges[i]);
	free(s.charges);
	free(s.told);
	ub_events_freep(&s.events);
	ub_ctrl_close(s.ctrl);
	ub_interrupt_close(&s.interrupt);
	ub_log_close(&s.log);
	return ret;
}
