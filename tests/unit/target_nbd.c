/* SPDX-License-Identifier: MIT */
/*
 * The target nbd by several threads, each with a connection of its own, before a server that breaks connections, dies
 * and loses what was not flushed. Clients change their own blocks again and again, through any of the queues, one
 * change after the end of another, so each read has one right answer; and nothing may fail.
 *
 * unit_target_nbd ROUNDS: as many rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel/uapi.h"
#include "nbd_server.h"
#include "thread_queue.h"

#define QUEUES_MAX 4U
#define CLIENTS IOS /* each has one under way */
#define BLOCK 512U
#define GROUP 32U /* blocks that a client has together */

extern const struct ub_target ub_target_nbd;

struct client {
	unsigned number;
	char data[GROUP * BLOCK];
	uint64_t version[SERVER_SIZE / BLOCK], versions;
	unsigned changes;
	pthread_t thread;
};

static struct client clients[CLIENTS];
static struct ub_queue queues[QUEUES_MAX];
static unsigned nr_queues;
static bool zero_copy; /* the queues have no buffers */
static atomic_bool stop;
static struct server server;
static unsigned rounds = 10;

static int ask_by(struct ub_queue *q, struct client *c, uint8_t op, uint32_t flags, uint64_t offset,
		  uint32_t len)
{
	return queue_ask(q, c->number, c->data, op, flags, offset, len);
}

static int ask(struct client *c, uint8_t op, uint32_t flags, uint64_t offset, uint32_t len)
{
	return ask_by(&queues[any(nr_queues)], c, op, flags, offset, len);
}

static void fill(char *data, uint32_t block, uint64_t version)
{
	for (uint32_t i = 0; i < BLOCK; i += 16) {
		uint64_t words[2] = {version ? block : 0, version};

		memcpy(data + i, words, sizeof(words));
	}
}

static void check(struct client *c, uint32_t first, uint32_t count)
{
	char right[BLOCK];

	must(ask(c, UBLK_IO_OP_READ, 0, first * BLOCK, count * BLOCK) == 0);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t found[2];

		fill(right, first + i, c->version[first + i]);
		memcpy(found, c->data + i * BLOCK, sizeof(found));
		if (memcmp(right, c->data + i * BLOCK, BLOCK) == 0)
			continue;
		(void)fprintf(stderr, "block %u is %llu of %llu and not %llu\n", first + i,
			      (unsigned long long)found[1], (unsigned long long)found[0],
			      (unsigned long long)c->version[first + i]);
		abort();
	}
}

static void change(struct client *c, uint32_t first, uint32_t count, unsigned how)
{
	uint64_t version = how ? ++c->versions : 0;

	for (uint32_t i = 0; i < count; i++) {
		c->version[first + i] = version;
		fill(c->data + i * BLOCK, first + i, version);
	}
	must(ask(c, version ? UBLK_IO_OP_WRITE : UBLK_IO_OP_WRITE_ZEROES,
		 how == 1 ? UBLK_IO_F_FUA : 0, first * BLOCK, count * BLOCK) == 0);
	c->changes++;
}

/* The first of a client's blocks that lie together, in turns with the others'. */
static uint32_t group(const struct client *c, unsigned nth)
{
	return (nth * CLIENTS + c->number) * GROUP;
}

static void *run_client(void *arg)
{
	struct client *c = arg;
	unsigned groups = SERVER_SIZE / BLOCK / GROUP / CLIENTS;

	while (!atomic_load(&stop)) {
		uint32_t from = any(GROUP), count = 1 + any(GROUP - from);
		uint32_t first = group(c, any(8)) + from;
		unsigned how = any(16);

		if (how < 5)
			check(c, first, count);
		else if (how == 5 && any(8) == 0)
			must(ask(c, UBLK_IO_OP_FLUSH, 0, 0, 0) == 0);
		else
			change(c, first, count, any(8));
	}
	for (unsigned i = 0; i < groups; i++)
		check(c, group(c, i), GROUP);
	return NULL;
}

static void *arg_of(void *args, const char *name)
{
	const struct ub_opt *opt = ub_target_nbd.options;

	while (strcmp(opt->name, name) != 0)
		opt++;
	return (char *)args + opt->offset;
}

static void open_target(struct ub_tgt *tgt, void *args, unsigned count, uint32_t keep)
{
	static struct ub_notes notes;
	const struct ub_open_request req = {.threads = count, .zero_copy = zero_copy};
	struct ub_error err = {0};

	ub_target_nbd.defaults(args);
	*(char **)arg_of(args, "socket") = server.path;
	*(uint32_t *)arg_of(args, "replay-memory") = keep;
	*tgt = (struct ub_tgt){.type = &ub_target_nbd, .event_fd = -1};
	if (ub_target_nbd.open(tgt, args, &req, &notes, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(tgt->most_threads, 0);
	assert_true(keep == 0 || tgt->queue_more >= keep / count);
	nr_queues = count;
	for (unsigned i = 0; i < count; i++)
		queue_open(&queues[i], tgt, zero_copy);
	for (unsigned i = 0; i < count; i++)
		queue_begin(&queues[i]);
}

static void close_target(struct ub_tgt *tgt)
{
	for (unsigned i = 0; i < nr_queues; i++)
		queue_end(&queues[i]);
	for (unsigned i = 0; i < nr_queues; i++)
		(void)pthread_join(queues[i].thread, NULL);
	for (unsigned i = 0; i < nr_queues; i++)
		queue_close(&queues[i]);
	assert_int_equal(atomic_load(&tgt->write_error), 0);
	assert_int_equal(atomic_load(&tgt->away.since_ms), 0);
	assert_false(atomic_load(&tgt->away.may_lose));
	ub_target_nbd.close(tgt);
}

static bool is_well(struct ub_tgt *tgt)
{
	return atomic_load(&tgt->away.since_ms) == 0;
}

/* What happens to a server: mostly when all is well, for a moment at least. */
static void trouble(struct ub_tgt *tgt)
{
	bool waits = any(3);

	while (waits && !is_well(tgt))
		pause_us(1000);
	pause_us(any(50000));
	server_set(&server, false, any(2));
	switch (any(6)) {
	case 0:
	case 1:
		server_cut(&server);
		break;
	case 2:
		server_cut(&server);
		pause_us(any(60000));
		server_die(&server, any(2), false);
		break;
	case 3:
		server_die(&server, true, false);
		break;
	case 4:
		server_die(&server, false, true);
		pause_us(any(100000));
		server_set(&server, false, false);
		break;
	default:
		server_die(&server, any(2), false);
	}
}

/* All connections are known to be alive, and something is left that is not durable. */
static void settle(struct ub_tgt *tgt)
{
	for (unsigned i = 0; i < nr_queues; i++)
		must(ask_by(&queues[i], &clients[0], UBLK_IO_OP_FLUSH, 0, 0, 0) == 0);
	while (!is_well(tgt))
		pause_us(1000);
	change(&clients[0], 0, 1, 2);
}

/* Return: the target's arguments, to be freed. */
static void *begin(struct ub_tgt *tgt, unsigned count, uint32_t keep)
{
	void *args = calloc(1, ub_target_nbd.args_size);

	(void)snprintf(server.path, sizeof(server.path), "/tmp/ublk-unit-nbd-%d", getpid());
	memset(server.disk, 0, SERVER_SIZE);
	memset(server.stable, 0, SERVER_SIZE);
	server.away = server.slow = false;
	server_begin(&server);
	open_target(tgt, args, count, keep);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){.number = i};
	return args;
}

static void serves(unsigned count, uint32_t keep)
{
	unsigned changes = 0;
	struct ub_tgt tgt;
	void *args = begin(&tgt, count, keep);

	atomic_store(&stop, false);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]),
				 0);
	for (unsigned i = 0; i < rounds; i++)
		trouble(&tgt);
	server_set(&server, false, false);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < CLIENTS; i++) {
		(void)pthread_join(clients[i].thread, NULL);
		changes += clients[i].changes;
	}
	assert_true(changes > rounds);
	settle(&tgt);
	close_target(&tgt);
	free(args);
	server_end(&server);
	/* Who leaves has all of it made durable. */
	for (unsigned i = 0; i < CLIENTS; i++)
		for (uint32_t block = 0; block < SERVER_SIZE / BLOCK; block++) {
			char right[BLOCK];

			if (!clients[i].version[block])
				continue;
			fill(right, block, clients[i].version[block]);
			assert_memory_equal(server.stable + block * BLOCK, right, BLOCK);
		}
}

static void by_one_thread(void **state)
{
	(void)state;
	serves(1, 1U << 20);
}

static void by_two_threads(void **state)
{
	(void)state;
	serves(2, 8U << 20);
}

static void by_four_threads(void **state)
{
	(void)state;
	serves(4, 8U << 20);
}

static void by_threads_that_have_hardly_room(void **state)
{
	(void)state;
	serves(3, 24U << 10);
}

static void without_buffers(void **state)
{
	(void)state;
	zero_copy = true;
	serves(1, 1U << 20);
	serves(3, 8U << 20);
	serves(2, 48U << 10);
	zero_copy = false;
}

/* A block by one thread, then durably by another, then by a third; and the server dies. */
static void later_ones_stay_whichever_are_durable(void **state)
{
	struct client *c = &clients[0];
	struct ub_tgt tgt;
	void *args = begin(&tgt, 3, 1U << 20);

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		assert_int_equal(ask(c, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
		for (unsigned i = 0; i < 1 + round % 3; i++) {
			c->version[0] = ++c->versions;
			fill(c->data, 0, c->versions);
			assert_int_equal(ask_by(&queues[(round + i) % 3], c, UBLK_IO_OP_WRITE,
						i == 1 ? UBLK_IO_F_FUA : 0, 0, BLOCK),
					 0);
		}
		server_die(&server, false, false);
		check(c, 0, 1);
	}
	settle(&tgt);
	close_target(&tgt);
	free(args);
	server_end(&server);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_one_thread),
		cmocka_unit_test(by_two_threads),
		cmocka_unit_test(by_four_threads),
		cmocka_unit_test(by_threads_that_have_hardly_room),
		cmocka_unit_test(without_buffers),
		cmocka_unit_test(later_ones_stay_whichever_are_durable),
	};

	if (argc == 2)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
