/* SPDX-License-Identifier: MIT */
#include "server/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/parse.h"
#include "device/flush.h"
#include "device/links.h"
#include "device/quiesce.h"
#include "device/same.h"
#include "device/scheduler.h"
#include "device/served_by.h"
#include "device/unused.h"
#include "kernel/node.h"
#include "kernel/sysfs.h"
#include "process/process.h"
#include "process/program.h"
#include "process/spawn.h"
#include "record/store.h"
#include "server/server.h"

#define REAP_MS 1000
/* How often to look whether what was begun has ended: nothing tells. */
#define PARK_POLL_MS 2
/* What an errand finds open: the /dev of whoever started the server. */
#define DEV_FD 3
/* The line on its standard output that says so of the device. The others are notes. */
#define LIVE "live"

struct errand {
	struct ub_ctrl *ctrl;
	struct ublksrv_ctrl_dev_info info;
	int32_t pid; /* the server's */
	const char *scheduler;
};

static int command(const struct errand *e, uint32_t op, uint64_t data)
{
	return ub_same_command(e->ctrl, &e->info, op, data, UB_CTRL_NO_TIMEOUT);
}

static int run_check(const struct errand *e)
{
	const struct ublksrv_ctrl_dev_info *info = &e->info;
	struct ub_served_by server;
	struct ub_record record = {0};
	struct ublk_params params;
	bool is_recorded;
	int ret;

	if (!(info->flags & UBLK_F_USER_RECOVERY))
		return -EINVAL;
	if (info->state == UBLK_S_DEV_DEAD)
		return -ENOTRECOVERABLE;
	if (info->state != UBLK_S_DEV_LIVE)
		return 0;
	ret = ub_ctrl_get_params(e->ctrl, info, &params);
	if (ret)
		return ret;
	/* It names the new server by now, or still the old one, which is dead then. */
	is_recorded = ub_record_read(info->dev_id, info->ublksrv_flags, &record, NULL) == 0;
	ub_served_by_find(info, &params, is_recorded ? &record : NULL, &server);
	if (is_recorded)
		ub_record_done(&record);
	/* Of one that has gone since it was looked for, nothing shows that it was ending. */
	if (server.answer == UB_SERVED_NO || server.ending ||
	    (server.answer == UB_SERVED_YES && !ub_process_is_alive(server.pid, server.start_time)))
		return -EBUSY;
	return -EALREADY;
}

/* Opens the disk's node, if it is there. Return: a descriptor or a negative errno. */
static int try_node(const struct errand *e, dev_t disk)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "ublkb%u", e->info.dev_id);
	return ub_node_open(DEV_FD, name, S_IFBLK, disk, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static bool may_come(int error)
{
	return error == -ENOENT || error == -EACCES || error == -EPERM || error == -ENXIO ||
	       error == -ESTALE;
}

/*
 * Waits for the node without a deadline: the server has one. What watches for it stays open until this
 * process ends, and is not there at all where the node is: to close it takes a grace period.
 * Return: a descriptor, -ENOTBLK (what lies there is no node, so none will come), or another negative
 * errno.
 */
static int open_node(const struct errand *e)
{
	struct ublk_params params;
	char events[4096];
	int fd = ub_ctrl_get_params(e->ctrl, &e->info, &params), watch;
	dev_t disk;

	if (fd)
		return fd;
	disk = makedev(params.devt.disk_major, params.devt.disk_minor);
	fd = try_node(e, disk);
	if (!may_come(fd))
		return fd;
	watch = inotify_init1(IN_CLOEXEC);
	if (fchdir(DEV_FD) != 0 || watch < 0 ||
	    inotify_add_watch(watch, ".", IN_CREATE | IN_ATTRIB | IN_MOVED_TO) < 0)
		return -errno;
	for (;;) {
		fd = try_node(e, disk);
		if (!may_come(fd))
			return fd;
		if (read(watch, events, sizeof(events)) < 0)
			return -errno;
	}
}

static int run_open(const struct errand *e)
{
	_cleanup_close_ int fd = open_node(e);

	return fd < 0 ? fd : 0;
}

static int scan(const struct errand *e)
{
	_cleanup_close_ int fd = open_node(e);

	if (fd < 0)
		return fd;
	/* A disk without a partition table has nothing to scan: that is no failure. */
	(void)ioctl(fd, BLKRRPART);
	return 0;
}

/* The scheduler at once, before many have opened the disk. A device that keeps another one serves. */
static int run_start(const struct errand *e)
{
	struct ub_error err = {0};
	int ret;

	ub_links_clear(DEV_FD, e->info.dev_id);
	ret = command(e, UBLK_U_CMD_START_DEV, (uint64_t)e->pid);
	if (ret)
		return ret;
	(void)printf(LIVE "\n");
	(void)fflush(stdout);
	if (strcmp(e->scheduler, UB_SCHEDULER_KEEP) != 0 &&
	    ub_scheduler_set(e->info.dev_id, e->scheduler, &err) != 0)
		(void)printf("%s\n", err.msg);
	return 0;
}

static int run_start_open(const struct errand *e)
{
	int ret = run_start(e);

	return ret ? ret : run_open(e);
}

static int run_start_scan(const struct errand *e)
{
	int ret = run_start(e);

	return ret ? ret : scan(e);
}

static int stop_unused(const struct errand *e, int64_t until_ms)
{
	const struct ub_unused_wait wait = {.any_ms = until_ms};
	enum ub_user_kind kind;

	return ub_unused_stop(e->ctrl, &e->info, e->pid, ub_unused_look_here, &wait, &kind);
}

static int run_try_stop(const struct errand *e)
{
	return stop_unused(e, 0);
}

static int run_wait_stop(const struct errand *e)
{
	return stop_unused(e, INT64_MAX);
}

/* Is a request under way in the block layer's eyes? The server's threads may be unable to tell, of operations
 * that the kernel commits. Return: 1, 0, or -EOPNOTSUPP: it can't be told. */
static int has_requests(uint32_t id)
{
	unsigned reads, writes;
	char line[64];

	if (!ub_dev_counts_requests(id) ||
	    ub_sysfs_line(line, sizeof(line), "/sys/block/ublkb%u/inflight", id) <= 0 ||
	    sscanf(line, "%u %u", &reads, &writes) != 2)
		return -EOPNOTSUPP;
	return reads || writes;
}

/* However often: a device that is quiesced already takes it again. If it can't be told any more whether all
 * have ended, they have not. */
static int run_park(const struct errand *e)
{
	int ret = has_requests(e->info.dev_id);

	if (ret >= 0)
		ret = command(e, UBLK_U_CMD_QUIESCE_DEV, 0);
	while (!ret && has_requests(e->info.dev_id) != 0)
		(void)poll(NULL, 0, PARK_POLL_MS);
	return ret;
}

static int run_flush(const struct errand *e)
{
	return ub_flush(e->info.dev_id);
}

static int run_stop(const struct errand *e)
{
	return command(e, UBLK_U_CMD_STOP_DEV, 0);
}

static const struct {
	const char *name;
	int (*run)(const struct errand *e);
} errands[] = {
	[ERRAND_CHECK] = {"check", run_check},
	[ERRAND_START] = {"start", run_start},
	[ERRAND_START_OPEN] = {"start-open", run_start_open},
	[ERRAND_START_SCAN] = {"start-scan", run_start_scan},
	[ERRAND_OPEN] = {"open", run_open},
	[ERRAND_TRY_STOP] = {"try-stop", run_try_stop},
	[ERRAND_WAIT_STOP] = {"wait-stop", run_wait_stop},
	[ERRAND_PARK] = {"park", run_park},
	[ERRAND_FLUSH] = {"flush", run_flush},
	[ERRAND_STOP] = {"stop", run_stop},
};

static int run(size_t errand, uint32_t id, uint64_t token, int32_t pid, const char *scheduler)
{
	struct errand e = {.pid = pid, .scheduler = scheduler};
	int ret = ub_fault("errand-ring");

	/* Without its server there is nothing to bring up or to stop. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != pid)
		return ESRCH;
	if (!ret)
		ret = ub_ctrl_open(&e.ctrl, NULL);
	if (!ret)
		ret = ub_ctrl_get_info(e.ctrl, id, &e.info);
	if (!ret && e.info.ublksrv_flags != token)
		ret = -ENODEV;
	if (!ret)
		ret = errands[errand].run(&e);
	ub_ctrl_close(e.ctrl);
	(void)fflush(stdout);
	return ret < 0 ? -ret : 0;
}

int server_errand_main(char **argv)
{
	uint64_t id, token, pid;

	if (ub_parse_u64(argv[1], UINT32_MAX, &id) != 0 ||
	    ub_parse_u64(argv[2], UINT64_MAX, &token) != 0 ||
	    ub_parse_u64(argv[3], INT32_MAX, &pid) != 0)
		return EINVAL;
	for (size_t i = 0; i < UB_ARRAY_SIZE(errands); i++)
		if (strcmp(argv[0], errands[i].name) == 0)
			return run(i, (uint32_t)id, token, (int32_t)pid, argv[4]);
	return EINVAL;
}

/* @out: a pipe's end; what the errand prints comes out of the other one. */
static int spawn(const struct server *s, enum server_errand errand, int out, pid_t *ret_pid)
{
	const char *scheduler = s->record.spec.scheduler;
	char id[12], token[24], pid[12];
	char *argv[] = {(char *)"ublk-server",
			(char *)"errand",
			(char *)errands[errand].name,
			id,
			token,
			pid,
			(char *)(scheduler ? scheduler : UB_SCHEDULER_NONE),
			NULL};
	struct ub_spawn what = {.path = ub_program_again(),
				.argv = argv,
				.environment = environ,
				.fds = {{out, STDOUT_FILENO}, {s->dev_fd, DEV_FD}},
				.nr_fds = s->dev_fd >= 0 ? 2 : 1,
				/* What is typed at a server in the foreground is for the server,
				 * which knows what it means. */
				.group = true};
	sigset_t ours;

	(void)snprintf(id, sizeof(id), "%u", s->record.id);
	(void)snprintf(token, sizeof(token), "0x%llx", (unsigned long long)s->record.token);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	/* What a service manager sends to all of a unit is for the server, too: it ends its errands. */
	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGINT);
	what.held = &ours;
	return ub_spawn(&what, ret_pid);
}

/* What an errand had to tell: a line each. */
static void take_lines(struct server *s, int pipe)
{
	char text[1024], *save = NULL;
	ssize_t n = read(pipe, text, sizeof(text) - 1);

	if (n <= 0)
		return;
	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strcmp(line, LIVE) == 0)
			s->live = true;
		else
			ub_note(&s->record.notes, "%s", line);
}

/* Why this errand makes no sense any more; 0: it does. @terms: as they were when it began. */
static int reason_to_end(struct server *s, enum server_errand errand, unsigned terms)
{
	switch (errand) {
	case ERRAND_STOP:
	case ERRAND_PARK:
		return 0;
	case ERRAND_TRY_STOP:
	case ERRAND_WAIT_STOP:
	case ERRAND_FLUSH:
		return s->terms > terms ? -EINTR : 0;
	default:
		return server_reason_to_stop(s);
	}
}

int server_errand(struct server *s, enum server_errand errand, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	unsigned terms = s->terms;
	int ret, reason = reason_to_end(s, errand, terms), ends[2];
	_cleanup_close_ int from = -1;
	pid_t pid;

	if (reason)
		return reason;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	from = ends[0];
	ret = spawn(s, errand, ends[1], &pid);
	ub_close(&ends[1]);
	if (ret)
		return ret;
	ret = ub_fault("errand-pidfd");
	s->errand_fd = ret ? -1 : ub_process_open(pid, 0);
	if (s->errand_fd < 0) {
		(void)ub_process_end(pid, -1, 0, REAP_MS);
		return ret ? ret : s->errand_fd;
	}
	while (!reason && ub_process_wait(s->errand_fd, 0) != 0) {
		server_wait(s, timeout_ms < 0 ? -1 : ub_left_ms(deadline));
		reason = reason_to_end(s, errand, terms);
		if (!reason && timeout_ms >= 0 && ub_left_ms(deadline) == 0)
			reason = -ETIMEDOUT;
	}
	ret = ub_process_end(pid, s->errand_fd, 0, REAP_MS);
	ub_close(&s->errand_fd);
	take_lines(s, from);
	/* One that has ended in the meantime has done what it was to do. */
	return ret > 0 ? -ret : ret < 0 && reason ? reason : ret;
}
