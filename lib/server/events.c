/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "layer/layer.h"
#include "server/server.h"

/* What is waited for besides those who speak with it. */
#define OTHER_FDS 5

void server_take_front(struct server *s, int status)
{
	s->front = 0;
	s->front_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* What was left behind has ended. One that is under way is waited for where it was begun. */
static void reap(struct server *s)
{
	int status;
	pid_t pid;

	while (s->errand_fd < 0 && !s->opens && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == s->front)
			server_take_front(s, status);
}

static void take_signals(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			s->terms++;
		else if (info.ssi_signo == SIGHUP)
			ub_log_reopen(&s->log);
		else if (info.ssi_signo == SIGCHLD)
			reap(s);
	}
}

static void take_parent(struct server *s)
{
	struct ub_message msg;
	ssize_t n = recv(s->channel, &msg, sizeof(msg), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == sizeof(msg) && msg.type == UB_MESSAGE_COMMIT) {
		s->committed = true;
		if (s->record.spec.bound)
			return;
	} else if (s->committed) {
		s->unbound = true;
	} else {
		s->parent_gone = true;
	}
	ub_close(&s->channel);
}

/* A failed write-back outlives this server: whoever recovers the device has to know of it. */
static void take_write_error(struct server *s)
{
	int error = s->target.write_error;

	if (!error || s->record.write_error)
		return;
	s->record.write_error = error;
	ub_log(&s->log, LOG_ERR, "a write-back failed, every flush fails from now on: %s",
	       strerror(-error));
	if (s->recorded)
		(void)server_write_record(s, NULL);
}

/* The connection that was there went on; now that it is lost the way to another one lacks something. */
static void take_lack(struct server *s)
{
	int error = atomic_load(&s->target.away.error);

	if (s->lack == error || !atomic_load(&s->target.away.since_ms) ||
	    !ub_away_lacks_program(error))
		return;
	s->lack = error;
	ub_log(&s->log, LOG_ERR, "%s; ublk upgrade %u starts another one", ub_away_words(error),
	       s->record.id);
}

/* What the target serves over a connection is lost, or there again. */
static void take_away(struct server *s)
{
	const struct ub_tgt_away *away = &s->target.away;
	int64_t since = atomic_load(&away->since_ms);

	if (since && !s->away_ms && atomic_load(&away->fenced))
		ub_log(&s->log, LOG_ERR,
		       "another client has had this one shut out of what it serves: all I/O fails; "
		       "ublk recover %u makes a new one",
		       s->record.id);
	else if (since && !s->away_ms)
		ub_log(&s->log, LOG_WARNING, "what it serves is away: %s",
		       ub_away_words(atomic_load(&away->error)));
	else if (!since && s->away_ms)
		ub_log(&s->log, LOG_NOTICE, "what it serves is there again, after %lld ms",
		       (long long)(ub_now_ms() - s->away_ms));
	s->away_ms = since;
	take_lack(s);
	if (s->record.may_lose == atomic_load(&away->may_lose))
		return;
	s->record.may_lose = !s->record.may_lose;
	if (s->recorded)
		(void)server_write_record(s, NULL);
}

/* What it serves has another size by now: the device has the one that it had until somebody says so. */
static void take_grown(struct server *s)
{
	uint64_t size = atomic_exchange(&s->target.grown, 0);

	if (size)
		ub_log(&s->log, LOG_NOTICE,
		       "what it serves has %llu bytes by now, and the device %llu: ublk resize %u "
		       "changes that",
		       (unsigned long long)size, (unsigned long long)s->target.size, s->record.id);
}

/* A queue that died takes the server with it: the driver then does what the recovery policy says,
 * which is better than a device of which a part hangs. */
static void die_of_queue(struct server *s, unsigned id, const struct ub_queue_status *status)
{
	/* It, or another one, may just have been told of a write-back's error, and nobody is again. */
	take_write_error(s);
	ub_log(&s->log, LOG_ERR, "queue %u died: %s (%s)", id, strerror(-status->error),
	       status->fault);
	_exit(1);
}

/* What has gone wrong with their files since. */
static void tell_layers(struct server *s)
{
	struct ub_layers *layers = s->target.layers;

	for (unsigned at = 0; layers && at < layers->count; at++) {
		struct ub_layer_on *on = &layers->on[at];
		int error = on->error;

		if (error && !on->told)
			ub_log(&s->log, LOG_ERR, "layer %s cannot write its file: %s",
			       on->type->name, strerror(-error));
		on->told = error;
	}
}

static void take_queues(struct server *s)
{
	struct ub_queue_status status;
	unsigned ended = 0;
	eventfd_t count;

	(void)eventfd_read(s->event_fd, &count);
	for (unsigned i = 0; i < s->nr_queues; i++) {
		bool news = ub_queue_has_news(s->queues[i]);

		ub_queue_get_status(s->queues[i], &status);
		ended += status.ended;
		if (news)
			ub_log(&s->log, LOG_ERR, "queue %u: %s", ub_queue_id(s->queues[i]),
			       status.fault);
		if (s->live && status.ended && status.error)
			die_of_queue(s, ub_queue_id(s->queues[i]), &status);
	}
	s->queues_ended = s->nr_queues && ended == s->nr_queues;
	server_look_later(s);
	tell_layers(s);
	take_away(s);
	take_grown(s);
	take_write_error(s);
}

/* Of two timeouts; -1 is none. */
static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

void server_wait(struct server *s, int timeout_ms)
{
	struct pollfd fds[OTHER_FDS + SERVER_CONTROL_FDS] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = s->event_fd, .events = POLLIN},
		{.fd = s->channel, .events = POLLIN},
		{.fd = s->ctrl ? ub_ctrl_fd(s->ctrl) : -1, .events = POLLIN},
		{.fd = s->errand_fd, .events = POLLIN},
	};
	bool retries = s->unwritten && s->recorded;
	int res, count;

	timeout_ms = sooner(timeout_ms, server_poll_control(&s->control, &fds[OTHER_FDS]));
	if (retries)
		timeout_ms = sooner(timeout_ms, ub_left_ms(s->retry_ms));
	if (s->look_ms)
		timeout_ms = sooner(timeout_ms, ub_left_ms(s->look_ms));
	count = poll(fds, UB_ARRAY_SIZE(fds), timeout_ms);
	if (retries && ub_left_ms(s->retry_ms) == 0)
		(void)server_write_record(s, NULL);
	if (s->look_ms && ub_left_ms(s->look_ms) == 0)
		server_look_for_stalls(s);
	if (count <= 0)
		return;
	if (fds[0].revents)
		take_signals(s);
	if (fds[1].revents)
		take_queues(s);
	if (fds[2].revents)
		take_parent(s);
	/* Also what ended after it was given up: it would go on being readable. */
	if (fds[3].revents)
		(void)ub_ctrl_done(s->ctrl, &res);
	server_take_control(s, &fds[OTHER_FDS]);
}

int server_reason_to_stop(struct server *s)
{
	struct ub_queue_status status;

	if (!s->irreversible && (s->parent_gone || s->terms))
		return -EINTR;
	for (unsigned i = 0; s->fetching && i < s->nr_queues; i++) {
		ub_queue_get_status(s->queues[i], &status);
		if (status.ended)
			return status.error ? status.error : -ECANCELED;
	}
	return 0;
}

int server_command(struct server *s, const struct ub_ctrl_cmd *cmd, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret = ub_ctrl_start(s->ctrl, cmd), res, reason = 0;

	if (ret)
		return ret;
	while (!ub_ctrl_done(s->ctrl, &res)) {
		if (!reason) {
			reason = server_reason_to_stop(s);
			if (!reason && ub_left_ms(deadline) == 0)
				reason = -ETIMEDOUT;
			if (reason)
				ub_ctrl_cancel(s->ctrl);
		}
		server_wait(s, reason ? 1000 : ub_left_ms(deadline));
	}
	/* A command that was done before the cancel reached it is done. */
	return res >= 0 || !reason ? res : reason;
}

bool server_has_undone(const struct server *s)
{
	return s->recovers || (!s->added && !s->fetching);
}

bool server_send(struct server *s, enum ub_message_type type, const struct ub_error *err,
		 const char *text)
{
	struct ub_message msg = {
		.type = type,
		.id = s->record.id,
		.undone = server_has_undone(s),
	};

	if (s->channel < 0)
		return false;
	if (err) {
		msg.code = err->code;
		msg.stage = err->stage;
	}
	if (text)
		(void)snprintf(msg.text, sizeof(msg.text), "%s", text);
	return send(s->channel, &msg, sizeof(msg), MSG_NOSIGNAL) == sizeof(msg);
}
