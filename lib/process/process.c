/* SPDX-License-Identifier: MIT */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/retry.h"

/* In proc_pid_stat(5), where the name is field 2. */
#define FIRST_FIELD 3
#define PARENT_FIELD 4
#define FLAGS_FIELD 9
#define START_TIME_FIELD 22
#define EXIT_CODE_FIELD 52
/* A name has at most 64 bytes, a number at most 20, and there are about 50 of them. */
#define STAT_SIZE 2048
/* PF_EXITING */
#define FLAG_EXITING 4U
/* The inode of the machine's own namespace of processes (PROC_PID_INIT_INO). */
#define FIRST_NAMESPACE 0xEFFFFFFCU
/* ... and that of control groups (PROC_CGROUP_INIT_INO). */
#define FIRST_GROUPS 0xEFFFFFFBU

/* Field @index of the numbers behind the name. */
static int parse_field(const char *text, int index, uint64_t *ret_value)
{
	/* The name may hold blanks, parentheses and numbers; nothing behind it holds a ')'. */
	const char *p = strrchr(text, ')');
	char number[24];
	size_t len;

	if (!p || p[1] != ' ')
		return -EINVAL;
	p += 2;
	for (int field = FIRST_FIELD; field < index; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EINVAL;
		p++;
	}
	len = strcspn(p, " \n");
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, p, len);
	number[len] = '\0';
	return ub_parse_u64(number, UINT64_MAX, ret_value) == 0 ? 0 : -EINVAL;
}

static int read_stat(int32_t pid, char text[static STAT_SIZE])
{
	_cleanup_close_ int fd = -1;
	char path[32];
	ssize_t n;

	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, text, STAT_SIZE - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

int ub_process_parse_stat(const char *text, uint64_t *ret_ticks)
{
	return parse_field(text, START_TIME_FIELD, ret_ticks);
}

int ub_process_start_time(int32_t pid, uint64_t *ret_ticks)
{
	char text[STAT_SIZE];
	int ret = read_stat(pid, text);

	return ret ? ret : parse_field(text, START_TIME_FIELD, ret_ticks);
}

int ub_process_parent(int32_t pid, int32_t *ret_parent)
{
	char text[STAT_SIZE];
	uint64_t parent;
	int ret = read_stat(pid, text);

	if (!ret)
		ret = parse_field(text, PARENT_FIELD, &parent);
	if (!ret)
		*ret_parent = (int32_t)parent;
	return ret;
}

int ub_process_open(int32_t pid, uint64_t start_time)
{
	_cleanup_close_ int fd = -1;
	uint64_t ticks;
	int ret;

	if (pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		/* EINVAL: a thread's id, so no process has it. */
		return errno == EINVAL ? -ESRCH : -errno;
	/* What is read now belongs to the pidfd's process, or to one that started later. */
	if (start_time) {
		ret = ub_process_start_time(pid, &ticks);
		if (ret)
			return ret;
		if (ticks != start_time)
			return -ESRCH;
	}
	return UB_TAKE_FD(fd);
}

bool ub_process_is_alive(int32_t pid, uint64_t start_time)
{
	_cleanup_close_ int fd = ub_process_open(pid, start_time);

	return fd >= 0 && ub_process_wait(fd, 0) == -ETIMEDOUT;
}

bool ub_process_first_thread_has_ended(int32_t pid)
{
	char text[STAT_SIZE];
	const char *p = read_stat(pid, text) == 0 ? strrchr(text, ')') : NULL;

	return p && strncmp(p, ") Z", 3) == 0;
}

/* The signal that ends it, or what it gave to exit, in the second byte; or, as one that was stopped or is
 * traced, the signal that did that. */
static bool is_of_an_end(uint64_t exit_code)
{
	switch (exit_code & 0x7f) {
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGTRAP:
		return false;
	default:
		return exit_code != 0;
	}
}

bool ub_process_is_ending(int32_t pid)
{
	char text[STAT_SIZE];
	uint64_t flags, exit_code;

	/* The code is there from kill(2) on. That the first thread has a SIGKILL to come, or is exiting,
	 * does not show while it cancels io_uring's requests (do_exit()). */
	return read_stat(pid, text) == 0 && parse_field(text, FLAGS_FIELD, &flags) == 0 &&
	       parse_field(text, EXIT_CODE_FIELD, &exit_code) == 0 &&
	       (flags & FLAG_EXITING || is_of_an_end(exit_code));
}

/* 0: cannot be told. */
static ino_t namespace_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Of processes. */
static ino_t own_namespace(void)
{
	return namespace_of("/proc/self/ns/pid");
}

bool ub_process_in_namespace(void)
{
	ino_t own = own_namespace();

	return own && own != FIRST_NAMESPACE;
}

bool ub_process_in_user_namespace(void)
{
	ino_t own = namespace_of("/proc/self/ns/user");

	return own && own != UB_PROCESS_FIRST_USERS;
}

bool ub_process_in_group_namespace(void)
{
	ino_t own = namespace_of("/proc/self/ns/cgroup");

	return own && own != FIRST_GROUPS;
}

int ub_process_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0 ? 0 : -errno;
}

int ub_process_wait(int pidfd, int timeout_ms)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret;

	do
		ret = poll(&pfd, 1, timeout_ms < 0 ? -1 : ub_left_ms(deadline));
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	return ret == 0 ? -ETIMEDOUT : 0;
}

int ub_process_end(int32_t child, int pidfd, int patience_ms, int kill_ms)
{
	struct ub_retry retry;
	int status;
	pid_t ret;

	if (pidfd < 0) {
		(void)kill(child, SIGKILL);
	} else if (ub_process_wait(pidfd, patience_ms) != 0) {
		(void)ub_process_signal(pidfd, SIGKILL);
		(void)ub_process_wait(pidfd, kill_ms);
	}
	/* Without a pidfd there is no event that is this child's alone. */
	ub_retry_init(&retry, pidfd < 0 ? (unsigned)kill_ms : 0);
	do
		ret = waitpid(child, &status, WNOHANG);
	while (ret == 0 && ub_retry_wait(&retry));
	if (ret <= 0)
		return ret == 0 ? -ETIMEDOUT : -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

bool ub_process_knows_itself(void)
{
	char self[16];
	ssize_t len = readlink("/proc/self", self, sizeof(self) - 1);
	uint64_t pid;

	self[len < 0 ? 0 : len] = '\0';
	return ub_parse_u64(self, INT32_MAX, &pid) == 0 && (pid_t)pid == getpid();
}

bool ub_process_sees_all(void)
{
	return ub_process_knows_itself() && own_namespace() == FIRST_NAMESPACE;
}

bool ub_process_hides_others(void)
{
	return access("/proc/1", F_OK) != 0;
}
