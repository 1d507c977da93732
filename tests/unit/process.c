/* SPDX-License-Identifier: MIT */
/* Who a process is, what it has open, and how a child ends. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/files.h"
#include "process/process.h"

#define FIELDS_3_TO_21 "S 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 4 0"

static void the_start_time_is_field_22_whatever_the_name(void **state)
{
	static const char *const names[] = {
		"fio",
		"(fio)",
		"a b c",
		"))) S 1 2 3",
		") S 1 1 1 0 -1 4",
		"\xff\n\t (",
		"",
		"x) R 1 2 3 4 5 6 7 8 9 10 11 12",
	};
	char text[512];
	uint64_t ticks;

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(names); i++) {
		(void)snprintf(text, sizeof(text), "812 (%s) " FIELDS_3_TO_21 " 123456 9 9\n",
			       names[i]);
		assert_int_equal(ub_process_parse_stat(text, &ticks), 0);
		assert_int_equal(ticks, 123456);
	}
}

static void what_is_no_stat_line_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"812",
		"812 (fio",
		"812 (fio)",
		"812 (fio) ",
		"812 (fio) S 1 2",
		"812 (fio) " FIELDS_3_TO_21,
		"812 (fio) " FIELDS_3_TO_21 " ",
		"812 (fio) " FIELDS_3_TO_21 " x 9",
		"812 (fio) " FIELDS_3_TO_21 " -1 9",
		"812 (fio) " FIELDS_3_TO_21 " 99999999999999999999 9",
		"812 (fio) " FIELDS_3_TO_21 " 999999999999999999999999999999 9",
	};
	uint64_t ticks = 7;

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(texts); i++)
		assert_int_equal(ub_process_parse_stat(texts[i], &ticks), -EINVAL);
	assert_int_equal(ticks, 7);
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "x) S 1 2 3");
		for (;;)
			(void)pause();
	}
	return pid;
}

static void a_process_is_known_by_its_start_time(void **state)
{
	pid_t pid = start_child();
	uint64_t ticks = 0;
	int32_t parent;
	int fd;

	(void)state;
	assert_int_equal(ub_process_start_time(pid, &ticks), 0);
	assert_true(ticks > 0);
	assert_int_equal(ub_process_parent(pid, &parent), 0);
	assert_int_equal(parent, getpid());
	assert_true(ub_process_is_alive(pid, ticks));
	assert_true(ub_process_is_alive(pid, 0));
	assert_false(ub_process_is_alive(pid, ticks - 1));
	assert_int_equal(ub_process_open(pid, ticks + 1), -ESRCH);

	fd = ub_process_open(pid, ticks);
	assert_true(fd >= 0);
	assert_int_equal(ub_process_wait(fd, 0), -ETIMEDOUT);
	assert_int_equal(ub_process_wait(fd, 10), -ETIMEDOUT);
	assert_int_equal(ub_process_signal(fd, SIGKILL), 0);
	assert_int_equal(ub_process_wait(fd, 10000), 0);
	/* Not reaped yet, it counts no more. */
	assert_false(ub_process_is_alive(pid, ticks));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ub_process_signal(fd, SIGKILL), -ESRCH);
	assert_int_equal(ub_process_open(pid, ticks), -ESRCH);
	assert_int_equal(ub_process_start_time(pid, &ticks), -ESRCH);
	ub_close(&fd);
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}

/* As where a server was killed, and one thread of it can't end yet. */
static void one_whose_first_thread_has_ended_is_ending(void **state)
{
	int64_t deadline = ub_now_ms() + 10000;
	pid_t pid = fork();
	pthread_t thread;

	(void)state;
	if (pid == 0) {
		(void)pthread_create(&thread, NULL, wait_for_ever, NULL);
		(void)syscall(SYS_exit, 0);
	}
	while (!ub_process_is_ending(pid) && ub_left_ms(deadline) > 0)
		(void)usleep(1000);
	assert_true(ub_process_is_ending(pid));
	assert_true(ub_process_is_alive(pid, 0));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(ub_process_is_ending(pid));
	assert_false(ub_process_is_ending(getpid()));
}

static void one_that_was_killed_is_ending_at_once(void **state)
{
	pid_t pid;

	(void)state;
	for (int i = 0; i < 200; i++) {
		pid = fork();
		if (pid == 0)
			for (;;)
				(void)pause();
		assert_false(ub_process_is_ending(pid));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(ub_process_is_ending(pid));
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void one_that_is_stopped_is_not_ending(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		for (;;)
			(void)pause();
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_false(ub_process_is_ending(pid));
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_false(ub_process_is_ending(pid));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(ub_process_is_ending(pid));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void no_id_is_no_process(void **state)
{
	uint64_t ticks;

	(void)state;
	assert_int_equal(ub_process_open(0, 0), -ESRCH);
	assert_int_equal(ub_process_open(-1, 0), -ESRCH);
	assert_int_equal(ub_process_start_time(0, &ticks), -ESRCH);
	assert_false(ub_process_is_alive(INT32_MAX, 0));
}

static void an_open_device_shows(void **state)
{
	int fd = open("/dev/full", O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool all;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ub_process_has_open(getpid(), st.st_rdev), 1);
	assert_int_not_equal(ub_process_find_open(st.st_rdev, &all), getpid());
	ub_close(&fd);
	assert_int_equal(ub_process_has_open(getpid(), st.st_rdev), 0);
	assert_int_equal(ub_process_has_open(INT32_MAX, st.st_rdev), 0);
}

/* Before Linux 7.0 it shows only with a thread that goes on. */
static void an_open_device_shows_though_the_first_thread_has_ended(void **state)
{
	int64_t deadline = ub_now_ms() + 10000;
	pthread_t thread;
	struct stat st;
	bool all, ended;
	pid_t pid;
	int has, found;

	(void)state;
	assert_int_equal(stat("/dev/full", &st), 0);
	pid = fork();
	if (pid == 0) {
		(void)open("/dev/full", O_RDONLY | O_CLOEXEC);
		(void)pthread_create(&thread, NULL, wait_for_ever, NULL);
		(void)syscall(SYS_exit, 0);
	}
	while (!ub_process_first_thread_has_ended(pid) && ub_left_ms(deadline) > 0)
		(void)usleep(1000);
	ended = ub_process_first_thread_has_ended(pid);
	has = ub_process_has_open(pid, st.st_rdev);
	found = ub_process_find_open(st.st_rdev, &all);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_true(ended);
	assert_int_equal(has, 1);
	assert_int_equal(found, pid);
	assert_false(ub_process_first_thread_has_ended(getpid()));
	/* All of it has ended, and is to be reaped yet. */
	assert_int_equal(ub_process_has_open(pid, st.st_rdev), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static pid_t start_exit(int status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(status);
	return pid;
}

static void a_child_is_ended_and_reaped(void **state)
{
	int64_t start = ub_now_ms();
	pid_t pid = start_child();
	int fd = ub_process_open(pid, 0);

	(void)state;
	assert_int_equal(ub_process_end(pid, fd, 20, 10000), -EINTR);
	assert_int_equal(ub_process_end(pid, fd, 20, 10000), -ECHILD);
	ub_close(&fd);
	/* Without a pidfd, at once. */
	pid = start_child();
	assert_int_equal(ub_process_end(pid, -1, 100000, 10000), -EINTR);
	assert_true(ub_now_ms() - start < 50000);
	/* How one has ended by itself. */
	pid = start_exit(7);
	fd = ub_process_open(pid, 0);
	assert_int_equal(ub_process_end(pid, fd, 10000, 0), 7);
	ub_close(&fd);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_start_time_is_field_22_whatever_the_name),
		cmocka_unit_test(what_is_no_stat_line_is_refused),
		cmocka_unit_test(a_process_is_known_by_its_start_time),
		cmocka_unit_test(one_whose_first_thread_has_ended_is_ending),
		cmocka_unit_test(one_that_was_killed_is_ending_at_once),
		cmocka_unit_test(one_that_is_stopped_is_not_ending),
		cmocka_unit_test(no_id_is_no_process),
		cmocka_unit_test(an_open_device_shows),
		cmocka_unit_test(an_open_device_shows_though_the_first_thread_has_ended),
		cmocka_unit_test(a_child_is_ended_and_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
