/* SPDX-License-Identifier: MIT */
/*
 * The server process of one device: from the task that it is handed to the last close. One main
 * thread talks to the driver, to the command line and to signals; each queue has a thread of its
 * own (queue/), which nothing here ever waits in front of.
 */
#pragma once

#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/ticks.h"
#include "budget/budget.h"
#include "device/handover.h"
#include "device/launch.h"
#include "record/record.h"
#include "kernel/ctrl.h"
#include "queue/queue.h"
#include "server/errand.h"

/* Somebody who speaks with it, or has not yet. */
struct server_client {
	int fd; /* -1: there is none */
	int64_t heard_ms;
};

/* Where the directory of a log file is, in an empty root. */
#define SERVER_LOG_DIR "/log"

#define SERVER_CLIENTS_MAX 8
/* The descriptors that are waited for. */
#define SERVER_CONTROL_FDS (1 + SERVER_CLIENTS_MAX)

struct server_control {
	int fd; /* the socket, or negative */
	struct server_client clients[SERVER_CLIENTS_MAX];
	int64_t deaf_ms; /* until when nobody is let in: there was no descriptor for him */
};

/* Requests that the kernel was given to end: stall.c. */
struct server_kernels {
	uint64_t begun;  /* requests that had come at the last look, */
	uint32_t silent; /* and looks since others have */
	uint64_t ios;    /* that it does not end, as has been told; 0: none */
	uint8_t op;      /* of one of them, */
	unsigned thread; /* and where it is told */
};

struct server {
	enum ub_launch_mode mode;
	bool recovers; /* in any of its modes but the first: the device is there */
	bool foreground;
	pid_t front;      /* in the foreground: the child that speaks for it, until it was reaped */
	int front_status; /* then */
	struct ub_handover *handover;
	struct ublksrv_ctrl_dev_info *info; /* in the handover: asked, then granted */
	struct ub_record record;
	struct ub_log log;
	struct ub_ctrl *ctrl;
	struct ub_tgt target;
	struct ub_space space;
	struct ub_queue **queues;
	struct server_watch *watches; /* of each: stall.c */
	unsigned nr_queues;           /* one for each thread: a queue may have several */
	struct ub_ticks ticks;
	bool has_nodes; /* the machine: more than one, of NUMA */
	int char_fd;
	int signal_fd;
	int event_fd; /* written by the queues */
	int channel;  /* to the command line; -1 when it has gone, or never was, or needs no more */
	int errand_fd; /* of the errand that is under way, or -1 */
	bool opens;    /* the target is being opened, which waits for children of its own */
	int name_lock; /* while a device is added that has a name, or negative */
	int dev_fd;    /* the caller's /dev, until the device is ready */
	int caller_ns,
		caller_root; /* where a recovered device's log is, until it is ready; or -1 */
	int notify_fd;       /* to the supervisor, until the device is ready; or -1 */
	bool alone; /* in a mount namespace of its own, where only directories are that it is given */
	char *log_at; /* that of the log; NULL: none */
	struct server_control control;
	uint64_t cgroup_max; /* memory.max of its group, as the caller's mounts show it */
	int64_t deadline;    /* for the whole start, on ub_now_ms()'s clock */
	int64_t served_ms;   /* when it began to serve; 0: it has not */
	int lack;            /* of a program beside it, as was told: ub_tgt_away.error */
	int64_t away_ms;   /* since when what it serves is away; 0: it is not, as far as was told */
	int32_t other_pid; /* of a takeover: the server before, */
	uint64_t other_start;
	int64_t ended_ms; /* and when it was told to end; 0: not yet */
	bool locked;      /* this program, until the device is live */
	bool abandons;    /* a thread that is still at the target: only the process's end ends it */
	bool left;        /* its caller's namespace, or has tried to */

	/* What has been done, and has to be undone in reverse. */
	bool added;
	bool recorded;
	bool counts; /* in a file of its own */
	bool fetching;
	bool live;
	bool park; /* it is to be left to another server */
	bool irreversible; /* a recovery that has begun to fetch, or to end the server before: no way back */

	/* What has happened. */
	unsigned terms; /* SIGTERM and SIGINT seen */
	bool committed;
	bool parent_gone; /* before it has committed */
	bool unbound;     /* ... after it: the device was to go with it */
	bool queues_ended;
	bool told_in_use; /* asked to stop: and serves until nobody uses it */
	bool told_stop_error;
	bool flushed;     /* or it was tried, before the device was taken away */
	bool unwritten;   /* the record is not as it should be */
	int64_t retry_ms; /* when it is tried again */
	unsigned noted;   /* notes that the record has */
	int64_t look_ms;  /* when queues are looked at next; 0: none has anything */
	struct server_kernels kernels;
};

/* environ.c: the process itself. */

/* Blocks the signals that the server handles, and makes their descriptor; before any thread. */
int server_init_signals(struct server *s, struct ub_error *err);
/* Session, standard descriptors, out-of-memory killer, I/O flusher, descriptor limit. What the
 * process may not do is noted. Before any thread. */
void server_init_process(struct server *s);
/* Gives back what only the start has needed, before anybody measures the server. */
void server_forget_start(struct server *s);

/* namespace.c: where it lives. */

/* Leaves the caller's control group, if it is not to stay, and opens and reads what is needed of the
 * caller's later. */
void server_look_around(struct server *s);
/* Leaves the caller's working directory and mount namespace for an empty root, or notes why it does
 * not; once, after the backing and the log were opened, and before the first ring and thread. Return: 0, or
 * why no record could be written. */
int server_leave_namespace(struct server *s, struct ub_error *err);
/* The directories on the way, and the last one. Return: 0 or a negative errno. */
int server_make_path(const char *path);

/* layers.c: opens what was put off until the device is served; what can't be is told in a note. */
void server_open_layers(struct server *s);

/* log_dir.c: directories of a caller's, for the log and for layers. */
/* In a recovery, as long as the caller's namespace is at hand: lends this server the directory, as @at. Return: 0 or
 * a negative errno. */
int server_reach_dir(struct server *s, const char *dir, const char *at);
/* Makes the log file reachable whose directory could not be asked for while the device had no server:
 * it may lie there. Return: 0 with its path from now on, or a negative errno. */
int server_reach_log(struct server *s, char **ret_path);
/* Attaches what is @dir for the process at the other end of @peer, as @at. Return: 0 or a negative errno:
 * -ESRCH: that process has ended. */
int server_attach_dir(int peer, const char *dir, const char *at);
/* Takes it away again; waits no longer than a while for whoever has it. */
void server_detach_dir(const char *at);
/* ublk-server log-dir DIR AT, with the caller's namespace and root open, and ublk-server log-away AT.
 * Return: the exit status. */
int server_log_dir_main(const char *dir, const char *at);
int server_log_away_main(const char *at);

/* params.c: what the target is, as the driver wants to hear it. */
void server_fill_params(const struct server *s, struct ublk_params *params);

/* keep.c: what is kept of the device. */
/* One that can't be written is tried again as long as the device lives: server_wait(). */
int server_write_record(struct server *s, struct ub_error *err);
/* A recovery's: takes over what other servers of the device have written since the command line read the
 * record: one may have had its turn meanwhile, and have died. */
void server_read_record(struct server *s);
/* What the server before could have lost with its end counts as lost. */
void server_take_loss(struct ub_record *record);

/* control.c: who speaks with it. */
void server_init_control(struct server_control *control);
/* Has the record tell where the socket will be. */
void server_name_control(struct server *s);
/* Opens it, once the record is this device's: who removes the number's former one takes its socket along.
 * Without one it serves all the same: that is noted, and the record to be written again. */
void server_open_control(struct server *s);
/* Its node, while the number is still this device's: with a record that nobody believes it would stay. */
void server_remove_control(const struct server *s);
void server_close_control(struct server_control *control);
/* Return: for how long at most may be waited, or -1. */
int server_poll_control(const struct server_control *control,
			struct pollfd fds[static SERVER_CONTROL_FDS]);
/* What has come by them. Never waits. */
void server_take_control(struct server *s, const struct pollfd fds[static SERVER_CONTROL_FDS]);

/* stats.c: what the queues count. */
/* Has them count in a file beside the record, which is this device's by now: a new one, or what a server
 * before has left. Without one it serves all the same: that is noted. Before the first fetch. */
void server_open_stats(struct server *s);
/* As server_remove_control(). */
void server_remove_stats(const struct server *s);

/* stall.c: requests that are in hand for too long. */
/* For so many threads. Return: 0 or -ENOMEM. */
int server_make_watches(struct server *s, unsigned count);
/* Looks at all of them, and has it be done again as long as there is anything to be seen. */
void server_look_for_stalls(struct server *s);
/* A thread has something to tell: it is looked at soon. */
void server_look_later(struct server *s);
/* Return: milliseconds for which one is in hand by now, with its queue and operation; 0: none is for too
 * long. */
uint64_t server_longest_stall(const struct server *s, unsigned *ret_queue, uint8_t *ret_op);

/* park.c: the device is left to another server, without an error of its requests. */
/* Returns when the queues have ended, or it was refused. */
void server_park(struct server *s);

/* set.c: what can be changed while the device is served (spec/live.h). */
/*
 * Changes what the JSON says, all of it or nothing; @peer: who has asked, by the socket.
 * @try: only tells whether it could be
 * Return: 0, or a negative errno with a message: -EAGAIN: it does not serve yet; -ESHUTDOWN
 */
int server_set(struct server *s, int peer, const char *text, size_t len, bool try,
	       struct ub_error *err);

/* Has who speaks by this socket gone? What he was told that it has failed is not to come about later, when this
 * process is let go on, say. */
bool server_has_hung_up(int fd);

/* settings.c: what the queues look at by themselves. */
void server_tell_queues(struct server *s);
/* Of a recovery: what was changed while the device had no server, or still had another one. */
void server_take_settings(struct server *s, struct ub_spec *spec);

/* set_log.c: another log. */
struct server_new_log {
	struct ub_log log;
	char *at;      /* where its directory is attached, or NULL */
	bool attached; /* ... by this */
};
/* Opens the one of @spec. @path: an absolute path, or NULL: the journal; borrowed as long as it is used.
 * Return: 0 or a negative errno with a message; then all is as before. */
int server_open_new_log(struct server *s, int peer, char *path, struct server_new_log *ret_new,
			struct ub_error *err);
/* Goes on there, and lets the one before go; or drops the new one. */
void server_use_new_log(struct server *s, struct server_new_log *new);
void server_drop_new_log(struct server_new_log *new);

/* resize.c: the size changes while the device is served. */
/* Return: how many bytes could be served, or a negative errno. */
int64_t server_room(struct server *s);
/* Before the driver is told: from now on both sizes can be served, and the record says so. Return: 0,
 * or a negative errno (ub_target.make_room()), -EINVAL, -ESHUTDOWN, or with @ret_is_record why the record
 * can't be written; then nothing has changed. */
int server_begin_resize(struct server *s, uint64_t size, bool *ret_is_record);
/* The driver has it. @all_ended: no request of the time before is under way. Return: 0 or as above. */
int server_end_resize(struct server *s, uint64_t size, bool all_ended);

/* events.c: what the main thread waits for. */

/* Of the process that speaks for the server in the foreground: how it ended, as waitpid() tells it. */
void server_take_front(struct server *s, int status);
/* Waits for anything to happen, at most @timeout_ms (-1: for ever), and takes note of it in @s. Comes
 * back earlier while there is a record to be written again. */
void server_wait(struct server *s, int timeout_ms);
/* Runs a command while everything else goes on; one that may wait for I/O on the device is an
 * errand. Return: its result, -ETIMEDOUT, or server_reason_to_stop(). */
int server_command(struct server *s, const struct ub_ctrl_cmd *cmd, int timeout_ms);
/* Why a start that is under way makes no sense any more: -EINTR when the parent went away or a
 * SIGTERM came, or the error of a queue that ended. Return: 0 when it does. */
int server_reason_to_stop(struct server *s);
/* After server_undo(): is nothing left for the command line to undo? A recovery leaves nothing. */
bool server_has_undone(const struct server *s);
/* Tells the command line; does nothing without one. Return: has it heard? */
bool server_send(struct server *s, enum ub_message_type type, const struct ub_error *err,
		 const char *text);

/* plan.c */
/* What the machine and this user let it have. */
void server_read_allowance(const struct server *s, struct ub_allowance *ret_allowance);
/* Plans the memory of what was granted (@info NULL: asked for), and refuses what does not fit.
 * Return: 0 with a plan to be freed, or a negative errno with a message. */
int server_plan(struct server *s, const struct ublksrv_ctrl_dev_info *info,
		struct ub_plan *ret_plan, struct ub_error *err);

/* queues.c: all queues at once. */
int server_make_queues(struct server *s, struct ub_error *err);
int server_open_char(struct server *s, struct ub_error *err);
int server_map_queues(struct server *s, struct ub_error *err);
/* Fetches every tag of every queue. Return: 0 when the driver has them all, the error of a queue,
 * or -ETIMEDOUT. */
int server_fetch(struct server *s, struct ub_error *err);
/* For as long as the driver must not stop the device; whoever stops it goes first. Return: for
 * ub_steady_let_go() */
int server_hold_steady(struct server *s);
/* Waits until every queue has ended. */
void server_join_queues(struct server *s);
void server_free_queues(struct server *s);

/* cpus.c */
/*
 * Where a thread may run: where its queues' memory is best, that is on the CPUs whose I/O comes to
 * them, all of them, never one by chance. Or, by --cpus, on those that are dealt out to it.
 * Return: false: anywhere.
 */
bool server_find_cpus(struct server *s, const struct ub_spec *spec, bool at_any_price,
		      unsigned thread, cpu_set_t *cpus, size_t size);
/* Has one that runs do so there; anywhere is where the calling thread may. Return: 0 or a negative errno. */
int server_move_thread(struct server *s, const struct ub_spec *spec, bool at_any_price,
		       unsigned thread);

/* target.c: opens what is served, as the record says it. Return: 0, or a negative errno with a message. */
int server_open_target(struct server *s, const struct ub_open_request *asked, struct ub_error *err);
/* Takes one that is not open. Its queues are gone. */
void server_close_target(struct server *s);

/* claims.c */
/* Does another device of ours have one of the backings? (A recovered one has its own.) Return: 0 or a negative errno
 * with a message. */
int server_check_claims(struct server *s, struct ub_error *err);
/* Keeps the name in @s until the record is written: from then on that has it. Return: 0 or a negative errno with a
 * message. */
int server_claim_name(struct server *s, struct ub_error *err);

/* compare.c: is what is there what the device was? */
/* Return: how many bytes a recovery asks the target for; 0: as many as the record has. */
uint64_t server_size_to_serve(const struct server *s);
/* What the driver keeps of the device has to be what is about to be served. Return: 0 or a negative errno with
 * a message: -ESTALE. */
int server_compare(struct server *s, struct ub_error *err);
/* Of one that is live again: serves the size that the driver has by now. */
void server_take_size(struct server *s);

/* start.c, recover.c: from nothing, or from a dead server's device, to a live one. */
/* Where a namespace is in the way (device/namespace.h). Return: -EOPNOTSUPP with a message that says so. */
int server_fail_namespace(struct server *s, enum ub_stage stage, struct ub_error *err);
int server_add(struct server *s, struct ub_error *err);
/* Opens the target as `ublk add --dry-run` does, where only this program can. Return: 0 or a negative errno with a
 * message. */
int server_try(struct server *s, struct ub_error *err);
int server_recover(struct server *s, struct ub_error *err);
/* takeover.c: the device has a server yet, which is told to park, or killed. From then on nothing interrupts
 * the recovery, and no deadline ends it. Return: 0 if none is left to tell, or a negative errno with a
 * message: it goes on. */
int server_end_other(struct server *s, struct ub_error *err);
/* Has it not done so, and will not? */
bool server_other_goes_on(struct server *s);
/* The device is live: what this program needs may be read again, if it has to. */
void server_let_program_go(struct server *s);
/* Once all is there that a recovery needs: says so, and waits until the command line has gone. */
void server_rehearsed(struct server *s);

/* ready.c: the node is there, and everybody is told. */
int server_ready(struct server *s, struct ub_error *err);
/* Its disk's node does not open, for the reason @code. Return: @code. */
int server_fail_node(struct server *s, int code, struct ub_error *err);

/* life.c: serving, stopping, undoing. */
int server_live(struct server *s);
/* Takes back what a failed start has done, once the backing has given up what it has of the device's.
 * Return: false when queues still run, which go with the process. */
bool server_undo(struct server *s);
