/* SPDX-License-Identifier: MIT */
/*
 * ublk upgrade: a device changes its server. First a process like a new server does everything that can
 * fail, beside the one that serves, and ends (the rehearsal). Then a second one has the server park or kills
 * it, and recovers the device. A backing's lock and a disk's exclusive claim are had by one description, and
 * a ring's I/O goes by it: so what is made for the rehearsal can't be kept, and is made anew.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/control.h"
#include "process/process.h"
#include "server/server.h"

#define ANSWER_MS 5000

static int ask(const struct server *s, enum ub_control_op op, struct ub_control_answer *ret_answer)
{
	const struct ub_control_request request = {
		.op = (uint16_t)op,
		.value = {op == UB_CONTROL_PARK ? (uint64_t)s->other_pid : 0},
	};

	return ub_control_ask(s->record.id, s->record.token, &request, ANSWER_MS, ret_answer);
}

/* One that does not answer may have heard it, and park when it comes to that: no way back from then on.
 * Return: 0, -ESRCH if that server is none any more, or another negative errno. */
static int park(struct server *s)
{
	struct ub_control_answer answer;
	int ret;

	do {
		ret = ask(s, UB_CONTROL_PARK, &answer);
		s->irreversible |= ret == -ETIMEDOUT;
	} while (ret == -ETIMEDOUT);
	if (s->irreversible)
		return 0;
	return ret == -ESTALE || ret == -ECONNREFUSED || ret == -ECONNRESET ? -ESRCH : ret;
}

/* Return: as above. */
static int kill_it(const struct server *s)
{
	_cleanup_close_ int fd =
		s->other_start ? ub_process_open(s->other_pid, s->other_start) : -ESRCH;

	return fd < 0 ? fd : ub_process_signal(fd, SIGKILL);
}

/* Whoever waits for the device's next server waits for this process from now on, which may have to be read
 * from that very device. Its errands are of the same file, or of one that is not kept: ub_program_again(). */
static void keep_program(struct server *s)
{
	s->locked = mlockall(MCL_CURRENT) == 0;
}

void server_let_program_go(struct server *s)
{
	if (s->locked && !s->record.spec.mlock)
		(void)munlockall();
	s->locked = false;
}

bool server_other_goes_on(struct server *s)
{
	struct ub_control_answer answer;

	return s->mode == UB_LAUNCH_PARK && ask(s, UB_CONTROL_STATUS, &answer) == 0 &&
	       answer.pid == s->other_pid && !(answer.value[1] & UB_CONTROL_PARKS);
}

int server_end_other(struct server *s, struct ub_error *err)
{
	int ret = ub_fault("end-other");

	s->other_pid = s->record.pid;
	s->other_start = s->record.start_time;
	keep_program(s);
	/* Nobody has an upgrade go on who has gone before it has begun. */
	server_wait(s, 0);
	if (!ret)
		ret = server_reason_to_stop(s);
	if (!ret)
		ret = s->mode == UB_LAUNCH_PARK ? park(s) : kill_it(s);
	/* It has died, or can't be seen from here: any recovery tells which. */
	if (ret == -ESRCH)
		return 0;
	if (ret == -ENOENT)
		return ub_fail_text(err, UB_STAGE_UPGRADE, ret,
				    "cannot have the server of ublkb%u (process %d) end: it has no "
				    "control socket here",
				    s->record.id, s->other_pid);
	if (ret)
		return ub_fail(err, UB_STAGE_UPGRADE, ret,
			       "cannot have the server of ublkb%u (process %d) end", s->record.id,
			       s->other_pid);
	s->irreversible = true;
	s->ended_ms = ub_now_ms();
	s->deadline = INT64_MAX;
	ret = ub_fault("other-ended");
	return ret ? ub_fail(err, UB_STAGE_UPGRADE, ret, "cannot take ublkb%u over", s->record.id)
		   : 0;
}

void server_rehearsed(struct server *s)
{
	for (unsigned i = 0; i < s->record.notes.count; i++)
		server_send(s, UB_MESSAGE_NOTE, NULL, s->record.notes.text[i]);
	server_send(s, UB_MESSAGE_READY, NULL, NULL);
	while (!s->parent_gone && !s->terms)
		server_wait(s, -1);
}
