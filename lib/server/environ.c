/* SPDX-License-Identifier: MIT */
/*
 * The process that a server is: it outlives the terminal, keeps nobody's mounts busy, is the last
 * that the out-of-memory killer takes, and never waits for its own device when memory is short.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "base/fault.h"
#include "record/dir.h"
#include "server/server.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif

/* Not -1000: a task that can never be killed makes the kernel shorten a request whose buffer it
 * can't fault in at the memory cgroup's limit, instead of ending the server. */
#define OOM_SCORE_ADJ "-999"

int server_init_signals(struct server *s, struct ub_error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigaddset(&set, SIGTSTP); /* in the foreground: ^Z would stop a disk */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
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
	if (!s->foreground) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	(void)close(fd);
}

static void protect_from_oom(struct server *s)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, OOM_SCORE_ADJ, strlen(OOM_SCORE_ADJ)) < 0)
		ub_note(&s->record.notes,
			"the server is not protected from the out-of-memory killer: %s",
			strerror(errno));
}

/* Inherited by every thread that is made from here on, io_uring's workers too. */
static void set_io_flusher(struct server *s)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 || prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) != 1)
		ub_note(&s->record.notes,
			"the server is no I/O flusher, so don't swap on the device: %s",
			strerror(errno));
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void server_init_process(struct server *s)
{
	(void)umask(022);
	(void)prctl(PR_SET_NAME, "ublk-server");
	if (!s->foreground)
		(void)setsid();
	null_descriptors(s);
	raise_descriptor_limit();
	if (s->record.spec.unprivileged) {
		ub_note(&s->record.notes,
			"an ordinary user's device: no recovery, no partitions, not for swap; its "
			"server is killed after 30 s without an answer, or when memory is short");
		return;
	}
	protect_from_oom(s);
	set_io_flusher(s);
}

/*
 * Would the mount of this line of /proc/self/mountinfo keep a disk busy for ever? @rest is what
 * follows the mount point: optional fields, " - ", the file system's type. One with a master is
 * unmounted together with it; the kernel's own file systems hold no disk, and we need them.
 */
static bool would_pin(const char *rest)
{
	static const char *const harmless[] = {"proc", "sysfs", "devtmpfs", "tmpfs", "devpts"};
	const char *end = strstr(rest, " - "), *master = strstr(rest, " master:");
	size_t len;

	if (!end || (master && master < end))
		return false;
	end += 3;
	len = strcspn(end, " ");
	for (size_t i = 0; i < UB_ARRAY_SIZE(harmless); i++)
		if (strlen(harmless[i]) == len && strncmp(end, harmless[i], len) == 0)
			return false;
	return true;
}

static bool is_below(const char *path, const char *mount_point)
{
	size_t len = strlen(mount_point);

	return path && strncmp(path, mount_point, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0' || len == 1);
}

/*
 * A mount that was private stays mounted in our namespace after everybody else has unmounted it,
 * and its disk stays busy: drop those. The root stays, and what the server's own log and record
 * lie on.
 */
static void drop_private_mounts(const struct server *s)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	char record_dir[PATH_MAX];
	const char *records = ub_record_dir(record_dir, sizeof(record_dir));
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		int start = 0, end = 0;

		(void)sscanf(line, "%*d %*d %*s %*s %n%*s%n", &start, &end);
		if (end <= start || line[end] != ' ' || !would_pin(line + end))
			continue;
		line[end] = '\0';
		ub_unescape_octal(line + start);
		if (!is_below(records, line + start) &&
		    !is_below(s->record.spec.log_file, line + start))
			(void)umount2(line + start, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

void server_leave_namespace(struct server *s)
{
	int ret = ub_fault("namespace");

	if (chdir("/") != 0 && !ret)
		ret = -errno;
	if (s->record.spec.unprivileged)
		return;
	if (!ret && unshare(CLONE_NEWNS) != 0)
		ret = -errno;
	if (!ret && mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		ret = -errno;
	if (ret)
		ub_note(&s->record.notes,
			"the server may keep mounts of the process that started it busy: %s",
			strerror(-ret));
	else
		drop_private_mounts(s);
}

/* Text and constants of the program itself: what is needed again comes again, from the page cache.
 * (Locked, they stay: madvise() refuses.) */
static int forget_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t end = info->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			(void)madvise((void *)start, end - start, MADV_DONTNEED);
	}
	/* The first is the program. */
	return 1;
}

void server_forget_start(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(forget_segments, NULL);
}
