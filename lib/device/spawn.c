/* SPDX-License-Identifier: MIT */
#include "device/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/retry.h"
#include "device/group.h"
#include "process/inherit.h"
#include "process/process.h"
#include "process/program.h"

/* How long systemd may take to give a server its scope. */
#define SCOPE_MS 5000
#define KILL_MS 1000

/* What becomes a server, or restarts them. */
struct program {
	char path[PATH_MAX];
	const char *args[3]; /* NULL-terminated */
	char handover[12], channel[12];
	char unit[64], slice[32], description[128]; /* of the scope */
	int fd;                                     /* that its path leads to, or -1 */
	int output;                                 /* a file for what systemd-run has to say */
};

/* In the child, or to become the server: only async-signal-safe calls. */
static void set_up(const struct program *p, int handover_fd, int channel_fd)
{
	sigset_t none;

	if (p->fd >= 0)
		(void)fcntl(p->fd, F_SETFD, 0);
	(void)fcntl(handover_fd, F_SETFD, 0);
	(void)fcntl(channel_fd, F_SETFD, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The same. @front: the process that speaks for a server in the foreground, or 0. */
static void exec_server(struct program *p, pid_t front)
{
	char speaker[12], *environment[UB_ENVIRONMENT_MAX + 1];
	char *const argv[] = {(char *)ub_program_server_name(), (char *)p->args[0],
			      (char *)p->args[1], front ? speaker : NULL, NULL};

	(void)snprintf(speaker, sizeof(speaker), "%d", front);
	ub_inherit_environment(environment);
	(void)execve(p->path, argv, environment);
}

/*
 * The same, in a scope. At the end of the machine it is sent SIGTERM, as its units' file systems are
 * unmounted: an orderly end, which waits for the last user. The second SIGTERM takes the device away,
 * not a SIGKILL, which would leave requests waiting, and with them the machine. Its limits are those of
 * the slice.
 */
static void exec_scope(struct program *p)
{
	/* Not by the caller's PATH: this may be root. */
	static const char *const usual[] = {"/usr/bin/systemd-run", "/bin/systemd-run",
					    "/run/current-system/sw/bin/systemd-run"};
	static const char missing[] = "there is no systemd-run";
	char *environment[UB_ENVIRONMENT_MAX + 1];
	char *const argv[] = {(char *)"systemd-run",
			      (char *)"--scope",
			      (char *)(geteuid() == 0 ? "--system" : "--user"),
			      (char *)"--quiet",
			      (char *)"--collect",
			      (char *)"--no-ask-password",
			      p->unit,
			      p->slice,
			      p->description,
			      (char *)"--property=TimeoutStopSec=30",
			      (char *)"--property=FinalKillSignal=SIGTERM",
			      (char *)"--property=TasksMax=infinity",
			      (char *)"--",
			      p->path,
			      (char *)p->args[0],
			      (char *)p->args[1],
			      NULL};

	/* What is typed meanwhile is for the command line. */
	(void)setsid();
	(void)dup2(p->output, STDOUT_FILENO);
	(void)dup2(p->output, STDERR_FILENO);
	ub_inherit_environment(environment);
	for (size_t i = 0; i < UB_ARRAY_SIZE(usual); i++)
		(void)execve(usual[i], argv, environment);
	(void)!write(STDERR_FILENO, missing, strlen(missing));
}

/* This process becomes the server, which a supervisor knows, and its child goes on. */
static int change_places(struct ub_spawn *spawn, struct program *p, int handover_fd, int theirs,
			 struct ub_error *err)
{
	int ret = ub_fault("fork");
	pid_t front;

	spawn->pid = getpid();
	spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
	front = ret ? -1 : fork();
	if (front > 0) {
		set_up(p, handover_fd, theirs);
		exec_server(p, front);
		_exit(127);
	}
	return front == 0
		       ? 0
		       : ub_fail(err, UB_STAGE_SPAWN, ret ? ret : -errno, "cannot start a server");
}

static int spawn_child(struct ub_spawn *spawn, struct program *p, int handover_fd, int theirs,
		       struct ub_error *err)
{
	int ret = ub_fault("fork");

	spawn->pid = ret ? -1 : fork();
	if (spawn->pid == 0) {
		set_up(p, handover_fd, theirs);
		if (p->output >= 0)
			exec_scope(p);
		else
			exec_server(p, 0);
		_exit(127);
	}
	if (spawn->pid < 0)
		return ub_fail(err, UB_STAGE_SPAWN, ret ? ret : -errno, "cannot start a server");
	spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
	return 0;
}

static int start(struct ub_spawn *spawn, struct program *p, bool foreground, int handover_fd,
		 struct ub_error *err)
{
	_cleanup_close_ int theirs = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ub_fail(err, UB_STAGE_SPAWN, -errno, "cannot make a socket pair");
	spawn->channel = pair[0];
	theirs = pair[1];
	(void)snprintf(p->handover, sizeof(p->handover), "%d", handover_fd);
	(void)snprintf(p->channel, sizeof(p->channel), "%d", theirs);
	p->args[0] = p->handover;
	p->args[1] = p->channel;
	return foreground ? change_places(spawn, p, handover_fd, theirs, err)
			  : spawn_child(spawn, p, handover_fd, theirs, err);
}

/* Its name is nobody else's: an errand may stay behind in the scope of a server whose number is another's
 * by now. */
static void name_scope(struct program *p)
{
	(void)snprintf(p->unit, sizeof(p->unit), "--unit=ublk-%d-%lld.scope", getpid(),
		       (long long)ub_now_ms());
	(void)snprintf(p->slice, sizeof(p->slice), "--slice=%s", ub_group_slice());
}

static void describe_scope(struct program *p, const struct ub_record *record)
{
	const struct ub_spec *spec = &record->spec;
	const char *name = spec->name ? spec->name : "";

	name_scope(p);
	(void)snprintf(p->description, sizeof(p->description),
		       "--description=Server of a ublk device%s%s (%s)", *name ? " " : "", name,
		       spec->target->name);
}

/* Waits until the server has its task, or has something to say. Return: 0; or what has come instead, and
 * then it never will. */
static int wait_begun(const struct ub_spawn *spawn, struct ub_handover *handover, int interrupt_fd)
{
	struct pollfd fds[] = {
		{.fd = spawn->channel, .events = POLLIN},
		{.fd = interrupt_fd, .events = POLLIN},
	};
	int64_t deadline = ub_now_ms() + SCOPE_MS;
	uint32_t begun = UB_BEGUN_NOT;
	char byte;
	int ret;

	do
		ret = poll(fds, UB_ARRAY_SIZE(fds), ub_left_ms(deadline));
	while (ret < 0 && errno == EINTR);
	if (ret == 0)
		ret = -ETIMEDOUT;
	else if (fds[1].revents)
		ret = -EINTR;
	else if (recv(spawn->channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return 0;
	else
		ret = -EPIPE;
	return atomic_compare_exchange_strong(&handover->begun, &begun, UB_BEGUN_NEVER) ? ret : 0;
}

/* Why there is no scope: systemd-run's own words, if it has said some. */
static void tell_why(char *why, size_t size, int code, int output)
{
	ssize_t n = pread(output, why, size - 1, 0);

	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	if (code == -ETIMEDOUT)
		(void)snprintf(why, size, "systemd does not answer");
	else if (!*why)
		(void)snprintf(why, size, "systemd-run has failed");
}

/* Return: 0 with the server running, 1 without, or a negative errno with a message. */
static int start_in_scope(struct ub_spawn *spawn, struct program *p, int handover_fd,
			  struct ub_handover *handover, int interrupt_fd, struct ub_error *err)
{
	_cleanup_close_ int output = memfd_create("ublk-output", MFD_CLOEXEC);
	int ret;

	if (output < 0)
		return ub_fail(err, UB_STAGE_SPAWN, -errno, "cannot make a memory file");
	p->output = output;
	ret = start(spawn, p, false, handover_fd, err);
	p->output = -1;
	if (ret)
		return ret;
	ret = wait_begun(spawn, handover, interrupt_fd);
	if (!ret)
		return 0;
	(void)ub_process_end(spawn->pid, spawn->pidfd, 0, KILL_MS);
	ub_close(&spawn->pidfd);
	ub_close(&spawn->channel);
	if (ret == -EINTR)
		return ub_fail_text(err, UB_STAGE_SERVER, ret, "interrupted");
	tell_why(handover->why_callers, sizeof(handover->why_callers), ret, output);
	atomic_store(&handover->begun, UB_BEGUN_NOT);
	return 1;
}

int ub_spawn_server(struct ub_spawn *spawn, const struct ub_record *record, int program,
		    int handover_fd, struct ub_handover *handover, int interrupt_fd,
		    struct ub_error *err)
{
	const struct ub_spec *spec = &record->spec;
	struct program p = {.fd = program, .output = -1};
	int ret = 0;

	if (program >= 0)
		(void)snprintf(p.path, sizeof(p.path), "/proc/self/fd/%d", program);
	else
		ret = ub_program_find(spec->target->program, p.path);
	if (ret == -ENOENT && spec->target->package)
		return ub_fail_text(err, UB_STAGE_SPAWN, ret,
				    "cannot serve target %s: its server program is not there "
				    "(package %s)",
				    spec->target->name, spec->target->package);
	if (ret)
		return ub_fail(err, UB_STAGE_SPAWN, ret, "cannot find the server program %s",
			       p.path);
	/* One that is to outlive systemd's own is not put where systemd ends it. */
	if (!spec->foreground && !spec->stay && ub_program_server_name()[0] != '@' &&
	    ub_group_is_scope()) {
		describe_scope(&p, record);
		ret = start_in_scope(spawn, &p, handover_fd, handover, interrupt_fd, err);
		if (ret <= 0)
			return ret;
	}
	return start(spawn, &p, spec->foreground, handover_fd, err);
}

/* The files are those of the machine, not of whoever made a device first: what is mounted for him alone
 * would stay mounted. Only where this program lies there, too. */
static void leave_mounts(const char *program)
{
	_cleanup_close_ int ours = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int first = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (geteuid() == 0 && ours >= 0 && first >= 0 && setns(first, CLONE_NEWNS) == 0 &&
	    access(program, X_OK) != 0)
		(void)setns(ours, CLONE_NEWNS);
}

/* Nothing of whoever makes a device stays with what restarts them all. */
static void leave_caller(const char *program)
{
	static const int limits[] = {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		(void)signal(sig, SIG_DFL);
	for (size_t i = 0; i < UB_ARRAY_SIZE(limits); i++)
		(void)ub_inherit_no_limit(limits[i]);
	(void)ub_inherit_oom_guard();
	(void)setsid();
	if (ub_group_is_scope())
		leave_mounts(program);
	(void)!chdir("/");
	(void)umask(022);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO && fd >= 0; i++)
		(void)dup2(fd, i);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Has that child become the program, and not only what is to start it? */
static bool runs(pid_t pid, const char *program)
{
	char link[32], path[PATH_MAX];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	len = readlink(link, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	return strcmp(path, program) == 0;
}

/* Return: a child that has become systemd-run, or could not, or a negative errno. */
static pid_t start_scope(struct program *p)
{
	int ends[2];
	pid_t pid;
	char byte;

	/* It is this very program until then, as the one that it is to become. */
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		exec_scope(p);
		_exit(127);
	}
	(void)close(ends[1]);
	while (pid > 0 && read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	(void)close(ends[0]);
	return pid;
}

/* Return: it is there, or there was one already; false: it could not be started so. */
static bool run_in_scope(struct program *p)
{
	struct ub_retry retry;
	pid_t pid;
	int status;

	name_scope(p);
	(void)snprintf(p->description, sizeof(p->description), "--description=%s",
		       "Restarts servers of ublk devices");
	p->output = STDOUT_FILENO;
	pid = start_scope(p);
	if (pid < 0)
		return false;
	ub_retry_init(&retry, SCOPE_MS);
	do {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status == 0;
		if (runs(pid, p->path))
			return true;
	} while (ub_retry_wait(&retry));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return false;
}

/* Return: only if it has not become it. */
static int become_supervisor(struct program *p)
{
	bool spared = ub_program_server_name()[0] == '@';
	char *environment[UB_ENVIRONMENT_MAX + 1];
	char *const argv[] = {(char *)(spared ? "@ublk" : "ublk"), (char *)p->args[0], NULL};

	leave_caller(p->path);
	if (!spared && ub_group_is_scope() && run_in_scope(p))
		return 0;
	ub_group_leave();
	ub_inherit_environment(environment);
	(void)execve(p->path, argv, environment);
	return 127;
}

pid_t ub_spawn_supervisor(void)
{
	struct program p = {.args = {"supervise"}, .fd = -1, .output = -1};
	int ret = ub_program_find_own(p.path);
	pid_t pid = ret ? ret : fork();

	if (pid == 0)
		_exit(become_supervisor(&p));
	return pid < 0 && !ret ? -errno : pid;
}
