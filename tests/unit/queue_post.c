/* SPDX-License-Identifier: MIT */
/* I/Os that threads of others end, as librbd's do: each once, with what it ended with, in each thread's order. */
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "must.h"
#include "queue/internal.h"

#define THREADS 4U
#define IOS 8U /* of each of them */
#define POSTS 50000U

/* Of one thread that ends I/Os. */
struct other {
	pthread_t thread;
	struct ub_io ios[IOS];
	atomic_bool busy[IOS]; /* posted, and not come */
	unsigned came;         /* I/Os */
};

static struct other others[THREADS];
static struct ub_queue q;

static void complete(struct ub_queue *queue, struct ub_io *io, unsigned op, int res)
{
	struct other *other = &others[io->tag];
	size_t i = (size_t)(io - other->ios);

	assert_ptr_equal(queue, &q);
	assert_int_equal(op, 0);
	assert_int_equal(i, other->came % IOS);
	assert_int_equal(res, -(int)other->came);
	other->came++;
	/* From now on it may be posted again. */
	assert_true(atomic_exchange(&other->busy[i], false));
}

static const struct ub_target type = {.posts = true, .complete = complete};
static struct ub_tgt target = {.type = &type};

static int setup(void **state)
{
	(void)state;
	q = (struct ub_queue){.event_fd = -1, .post_fd = -1, .target = &target};
	memset(others, 0, sizeof(others));
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < IOS; k++)
			others[i].ios[k].tag = (uint16_t)i;
	must(pthread_mutex_init(&q.lock, NULL) == 0);
	return ub_post_init(&q);
}

static int teardown(void **state)
{
	(void)state;
	ub_post_done(&q);
	return pthread_mutex_destroy(&q.lock);
}

/* As the thread's ring does. Return: how often it was woken since the last time. */
static uint64_t take(int res)
{
	struct io_uring_cqe cqe = {.res = res, .flags = res < 0 ? 0 : IORING_CQE_F_MORE};
	uint64_t woken = 0;

	(void)eventfd_read(q.post_fd, &woken);
	ub_post_take(&q, &cqe);
	return woken;
}

/* Its @number-th one, when that has come back from before. */
static void post(struct other *other, unsigned number)
{
	while (atomic_exchange(&other->busy[number % IOS], true))
		(void)sched_yield();
	ub_io_post(&q, &other->ios[number % IOS], -(int)number);
}

static void *post_all(void *arg)
{
	for (unsigned i = 0; i < POSTS; i++)
		post(arg, i);
	return NULL;
}

static bool are_missing(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (others[i].came < POSTS)
			return true;
	return false;
}

static void what_threads_post_comes_once_and_in_their_order(void **state)
{
	struct pollfd fd = {.fd = q.post_fd, .events = POLLIN};

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		must(pthread_create(&others[i].thread, NULL, post_all, &others[i]) == 0);
	while (are_missing()) {
		/* One that nobody tells of is missing for ever. */
		assert_int_equal(poll(&fd, 1, 60000), 1);
		assert_true(take(POLLIN) > 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		must(pthread_join(others[i].thread, NULL) == 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

static void of_those_that_end_at_once_one_wakes_the_queue(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		post(&others[0], i);
	assert_int_equal(take(POLLIN), 1);
	assert_int_equal(others[0].came, 5);
	assert_int_equal(take(POLLIN), 0);
	post(&others[0], 5);
	post(&others[1], 0);
	assert_int_equal(take(POLLIN), 1);
	assert_int_equal(others[0].came, 6);
	assert_int_equal(others[1].came, 1);
}

static void a_queue_that_cannot_hear_of_them_ends_and_what_has_come_is_done(void **state)
{
	(void)state;
	post(&others[0], 0);
	assert_int_equal(take(-EBADF), 1);
	assert_int_equal(others[0].came, 1);
	assert_int_equal(q.refused, -EBADF);
}

static atomic_bool woke;

/* Its I/O has been taken already, when it comes to wake the queue. */
static void *wake_late(void *arg)
{
	(void)arg;
	(void)usleep(50000);
	atomic_store(&woke, eventfd_write(q.post_fd, 1) == 0);
	(void)atomic_fetch_sub(&q.posting, 1);
	return NULL;
}

static void the_descriptor_stays_until_nobody_is_about_to_use_it(void **state)
{
	pthread_t thread;

	(void)state;
	(void)atomic_fetch_add(&q.posting, 1);
	must(pthread_create(&thread, NULL, wake_late, NULL) == 0);
	ub_post_done(&q);
	assert_true(atomic_load(&woke));
	must(pthread_join(thread, NULL) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_threads_post_comes_once_and_in_their_order),
		TEST(of_those_that_end_at_once_one_wakes_the_queue),
		TEST(a_queue_that_cannot_hear_of_them_ends_and_what_has_come_is_done),
		TEST(the_descriptor_stays_until_nobody_is_about_to_use_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
