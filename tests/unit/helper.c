/* SPDX-License-Identifier: MIT */
/* The helper process, that may be left behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/helper.h"
#include "process/process.h"

static int count_descriptors(const void *arg)
{
	int count = 0;

	(void)arg;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int hang(const void *arg)
{
	for (;;)
		(void)pause();
	return *(const int *)arg;
}

static int die(const void *arg)
{
	(void)arg;
	_exit(0);
}

static void a_helper_has_nothing_open_and_answers(void **state)
{
	int extra = open("/dev/null", O_RDONLY | O_CLOEXEC), result = 0;
	struct ub_helper helper;

	(void)state;
	assert_int_equal(ub_helper_start(&helper, count_descriptors, NULL), 0);
	assert_int_equal(ub_helper_wait(&helper, 10000, &result), 0);
	ub_helper_end(&helper);
	ub_helper_end(&helper);
	assert_int_equal(result, 4);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	ub_close(&extra);
}

static int double_it(const void *arg)
{
	int answer;

	(void)arg;
	return ub_helper_ask(10000, &answer, sizeof(answer)) ? -EIO : 2 * answer;
}

static int ask_in_vain(const void *arg)
{
	int answer = 7, first = ub_helper_ask(20, &answer, sizeof(answer));

	(void)arg;
	/* The late one is not taken for this one's. */
	return first == -EPIPE && ub_helper_ask(10000, &answer, sizeof(answer)) == -EPIPE ? answer
											  : -EIO;
}

static void a_helper_can_ask(void **state)
{
	const int answer = 21;
	struct ub_helper helper;
	int result = 0;

	(void)state;
	assert_int_equal(ub_helper_start(&helper, double_it, NULL), 0);
	assert_int_equal(ub_helper_wait(&helper, 10000, &result), UB_HELPER_ASKS);
	assert_int_equal(ub_helper_wait(&helper, 20, &result), -ETIMEDOUT);
	assert_int_equal(ub_helper_tell(&helper, &answer, sizeof(answer)), 0);
	assert_int_equal(ub_helper_wait(&helper, 10000, &result), 0);
	assert_int_equal(result, 42);
	ub_helper_end(&helper);
}

static void a_helper_does_not_wait_for_ever(void **state)
{
	const int answer = 21;
	struct ub_helper helper;
	int result = 0, ret;

	(void)state;
	assert_int_equal(ub_helper_start(&helper, ask_in_vain, NULL), 0);
	while ((ret = ub_helper_wait(&helper, 10000, &result)) == UB_HELPER_ASKS) {
		(void)usleep(50000);
		(void)ub_helper_tell(&helper, &answer, sizeof(answer));
	}
	assert_int_equal(ret, 0);
	assert_int_equal(result, 7);
	ub_helper_end(&helper);
}

static void a_helper_that_hangs_is_left_behind(void **state)
{
	int64_t start = ub_now_ms();
	struct ub_helper helper;
	int result = 7;

	(void)state;
	assert_int_equal(ub_helper_start(&helper, hang, &result), 0);
	assert_int_equal(ub_helper_wait(&helper, 20, &result), -ETIMEDOUT);
	assert_int_equal(ub_helper_wait(&helper, 20, &result), -ETIMEDOUT);
	ub_helper_end(&helper);
	assert_int_equal(result, 7);
	assert_true(ub_now_ms() - start < 5000);
	/* It is killed all the same. */
	(void)wait(NULL);
}

static void a_helper_that_dies_is_noticed(void **state)
{
	struct ub_helper helper;
	int result;

	(void)state;
	assert_int_equal(ub_helper_start(&helper, die, NULL), 0);
	assert_int_equal(ub_helper_wait(&helper, 10000, &result), -EPIPE);
	ub_helper_end(&helper);
	(void)wait(NULL);
}

static void a_helper_ends_with_its_caller(void **state)
{
	struct ub_helper helper;
	int pair[2], fd, result;
	pid_t caller;

	(void)state;
	/* Orphans come to this process. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	caller = fork();
	assert_true(caller >= 0);
	if (caller == 0) {
		if (ub_helper_start(&helper, hang, NULL) != 0)
			_exit(1);
		(void)!write(pair[1], &helper.pid, sizeof(helper.pid));
		(void)pause();
	}
	assert_int_equal(read(pair[0], &helper.pid, sizeof(helper.pid)), sizeof(helper.pid));
	fd = ub_process_open(helper.pid, 0);
	assert_true(fd >= 0);
	assert_int_equal(ub_process_wait(fd, 50), -ETIMEDOUT);
	assert_int_equal(kill(caller, SIGKILL), 0);
	result = ub_process_wait(fd, 10000);
	(void)ub_process_signal(fd, SIGKILL);
	assert_int_equal(result, 0);
	while (wait(NULL) > 0)
		;
	ub_close(&fd);
	ub_close(&pair[0]);
	ub_close(&pair[1]);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_helper_has_nothing_open_and_answers),
		cmocka_unit_test(a_helper_can_ask),
		cmocka_unit_test(a_helper_does_not_wait_for_ever),
		cmocka_unit_test(a_helper_that_hangs_is_left_behind),
		cmocka_unit_test(a_helper_that_dies_is_noticed),
		cmocka_unit_test(a_helper_ends_with_its_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
