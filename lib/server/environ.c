/* SPDX-License-Identifier: MIT */
/*
 * The process that a server is: it outlives the terminal, is the last that the out-of-memory killer
 * takes, never waits for its own device when memory is short, and takes over from its caller only
 * what architecture.md lists. In the foreground, how it is scheduled is its supervisor's affair.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clean.h"
#include "process/forget.h"
#include "process/inherit.h"
#include "server/server.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif

#define TIMER_SLACK_NS 50000UL
/* Enough for some thousand threads that serve. */
#define DESCRIPTORS 65536

/*
 * exec() leaves ignored what was ignored: no errand's end could be waited for (SIGCHLD). A write
 * beyond a limit that can't be lifted is that request's error, not the server's end.
 */
static void reset_signals(void)
{
	struct sigaction action;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			(void)signal(sig, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_IGN);
}

static void wake(int sig)
{
	(void)sig;
}

int server_init_signals(struct server *s, struct ub_error *err)
{
	const struct sigaction waking = {.sa_handler = wake};
	sigset_t set;

	reset_signals();
	(void)sigaction(UB_QUEUE_SIGNAL, &waking, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	/* In the foreground, ^Z and a line for the terminal (stty tostop) would stop a disk. */
	(void)sigaddset(&set, SIGTSTP);
	(void)sigaddset(&set, SIGTTOU);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->signal_fd < 0 || s->event_fd < 0)
		return ub_fail(err, UB_STAGE_SPAWN, -errno, "cannot set up the server");
	return 0;
}

static void null_descriptors(const struct server *s)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	/* In the foreground it is the log. */
	if (!s->foreground)
		(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
}

static void protect_from_oom(struct server *s)
{
	int ret = ub_inherit_oom_guard();

	if (ret)
		ub_note(&s->record.notes,
			"the server is not protected from the out-of-memory killer: %s",
			strerror(-ret));
}

/* Inherited by every thread that is made from here on, io_uring's workers too. */
static void set_io_flusher(struct server *s)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 || prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) != 1)
		ub_note(&s->record.notes,
			"the server is no I/O flusher, so don't swap on the device: %s",
			strerror(errno));
}

/* What would end the server, or fail its clients' I/O, for its caller's shell has it. */
static const struct {
	int resource;
	const char *name;
} deadly[] = {
	{RLIMIT_FSIZE, "of file size"},  {RLIMIT_CPU, "of CPU time"},
	{RLIMIT_AS, "of address space"}, {RLIMIT_DATA, "of data"},
	{RLIMIT_RTTIME, "of real time"},
};

static void lift_limits(struct server *s)
{
	struct rlimit none = {0}, files = {DESCRIPTORS, DESCRIPTORS}, now;

	for (size_t i = 0; i < UB_ARRAY_SIZE(deadly); i++)
		if (ub_inherit_no_limit(deadly[i].resource) != 0)
			ub_note(&s->record.notes, "the limit %s stays, and may end the server",
				deadly[i].name);
	/* These many users have by default, and they seldom matter. */
	(void)ub_inherit_no_limit(RLIMIT_NPROC);
	(void)ub_inherit_no_limit(RLIMIT_STACK);
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 &&
	    (now.rlim_max >= files.rlim_max || setrlimit(RLIMIT_NOFILE, &files) != 0)) {
		now.rlim_cur = now.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &now);
	}
	/* The dump of a dying server might wait for its own device. */
	(void)setrlimit(RLIMIT_CORE, &none);
}

/* A disk is no less urgent than others because whoever made it was nice. */
static void reset_scheduling(struct server *s)
{
	struct sched_param none = {0};
	size_t size = CPU_ALLOC_SIZE(UB_CPUS_MAX);
	cpu_set_t *all = CPU_ALLOC(UB_CPUS_MAX);

	if (all) {
		memset(all, 0xff, size);
		(void)sched_setaffinity(0, size, all);
		CPU_FREE(all);
	}
	if (sched_setscheduler(0, SCHED_OTHER, &none) != 0 || setpriority(PRIO_PROCESS, 0, 0) != 0)
		ub_note(&s->record.notes, "the server is as nice as its caller: %s",
			strerror(errno));
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0);
	(void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	(void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	(void)prctl(PR_SET_PDEATHSIG, 0);
}

void server_init_process(struct server *s)
{
	(void)umask(022);
	ub_ticks_begin(&s->ticks);
	(void)prctl(PR_SET_NAME, "ublk-server");
	(void)personality(PER_LINUX);
	if (!s->foreground) {
		(void)setsid();
		reset_scheduling(s);
	}
	null_descriptors(s);
	lift_limits(s);
	if (s->record.spec.unprivileged) {
		ub_note(&s->record.notes,
			"an ordinary user's device: no recovery, no partitions, not for swap; its "
			"server is killed after 30 s without an answer, or when memory is short");
		return;
	}
	protect_from_oom(s);
	set_io_flusher(s);
}

void server_forget_start(struct server *s)
{
	ub_ctrl_settle(s->ctrl);
	ub_process_forget();
}
