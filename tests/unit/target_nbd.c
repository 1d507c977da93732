/* SPDX-License-Identifier: MIT */
/*
 * The target nbd by several threads, each with a connection of its own, before a server that breaks connections, dies
 * and loses what was not flushed. Clients change their own blocks again and again, through any of the queues, one
 * change after the end of another, so each read has one right answer; and nothing may fail. The queues stand in for
 * lib/queue behind target/io.h, by ordinary system calls.
 *
 * unit_target_nbd ROUNDS: as many rounds.
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kernel/uapi.h"
#include "nbd_server.h"
#include "target/target.h"

#define QUEUES_MAX 4U
#define CLIENTS 6U
#define BLOCK 512U
#define GROUP 32U /* blocks that a client has together */
#define OPS 16U

extern const struct ub_target ub_target_nbd;

/* One of the target's own operations, that is under way. */
struct operation {
	enum { NONE, SEND, SEND_DATA, RECEIVE, READ, WAIT, DONE } kind;
	int fd;
	const struct msghdr *msg;
	void *to;
	uint32_t len;
	int64_t at_ms;
	int res;
};

struct client {
	unsigned number;
	char data[GROUP * BLOCK];
	uint64_t version[SERVER_SIZE / BLOCK], versions;
	unsigned changes;
	sem_t ended;
	int result;
	pthread_t thread;
};

struct ub_queue {
	struct ub_tgt *tgt;
	struct ub_tgt_queue own;
	struct ub_io ios[CLIENTS]; /* one for each client, */
	char *states;              /* and what the target has of it */
	struct operation ops[OPS];
	int wake;
	pthread_mutex_t lock;
	struct ub_io *posted; /* guarded by it */
	bool ends;            /* the same */
	pthread_t thread;
};

static struct client clients[CLIENTS];
static struct ub_queue queues[QUEUES_MAX];
static unsigned nr_queues;
static bool zero_copy; /* the queues have no buffers */
static atomic_bool stop;
static struct server server;
static unsigned rounds = 10;

static void put(struct ub_queue *q, unsigned id, struct operation op)
{
	must(id < OPS);
	must(q->ops[id].kind == NONE);
	q->ops[id] = op;
}

void ub_own_send(struct ub_queue *q, unsigned id, int fd, const struct msghdr *msg,
		 enum ub_send how)
{
	(void)how;
	put(q, id, (struct operation){.kind = SEND, .fd = fd, .msg = msg});
}

static char *data_of(struct ub_queue *q, const struct ub_io *io)
{
	return clients[ub_io_number(q, io)].data;
}

void ub_own_send_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
		      uint32_t data, uint32_t len)
{
	must(zero_copy && len > 0 && data + len <= io->len);
	put(q, id,
	    (struct operation){
		    .kind = SEND_DATA, .fd = fd, .to = data_of(q, io) + data, .len = len});
}

void ub_own_receive_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
			 uint32_t data, uint32_t len)
{
	must(zero_copy && len > 0 && data + len <= io->len);
	put(q, id,
	    (struct operation){.kind = RECEIVE, .fd = fd, .to = data_of(q, io) + data, .len = len});
}

int ub_io_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		  uint32_t len)
{
	must(zero_copy && data + len <= io->len);
	memcpy(data_of(q, io) + data, from, len);
	return 0;
}

int ub_io_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	must(zero_copy && data + len <= io->len);
	memcpy(to, data_of(q, io) + data, len);
	return 0;
}

void ub_own_receive(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len,
		    enum ub_receive how)
{
	(void)how;
	put(q, id, (struct operation){.kind = RECEIVE, .fd = fd, .to = to, .len = len});
}

void ub_own_read(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len)
{
	put(q, id, (struct operation){.kind = READ, .fd = fd, .to = to, .len = len});
}

void ub_own_connect(struct ub_queue *q, unsigned id, int fd, const struct sockaddr *addr,
		    uint32_t len)
{
	put(q, id,
	    (struct operation){.kind = DONE, .res = connect(fd, addr, len) == 0 ? 0 : -errno});
}

void ub_own_wait(struct ub_queue *q, unsigned id, const struct ub_own_time *time)
{
	put(q, id,
	    (struct operation){.kind = WAIT,
			       .at_ms = ub_now_ms() + time->sec * 1000 + time->nsec / 1000000});
}

void *ub_io_buffer(const struct ub_io *io)
{
	return io->data;
}

struct ub_io *ub_queue_io(struct ub_queue *q, uint32_t number)
{
	return number < CLIENTS ? &q->ios[number] : NULL;
}

uint32_t ub_io_number(const struct ub_queue *q, const struct ub_io *io)
{
	return (uint32_t)(io - q->ios);
}

void *ub_io_state(struct ub_queue *q, const struct ub_io *io)
{
	return q->states + ub_io_number(q, io) * ub_target_nbd.io_size;
}

struct ub_tgt *ub_queue_target(struct ub_queue *q)
{
	return q->tgt;
}

void *ub_queue_state(struct ub_queue *q)
{
	return q->own.state;
}

void ub_queue_tell(struct ub_queue *q)
{
	(void)q;
}

void ub_io_end(struct ub_queue *q, struct ub_io *io, int error)
{
	struct client *c = &clients[ub_io_number(q, io)];

	c->result = error;
	(void)sem_post(&c->ended);
}

/* Return: whether the operation has ended. */
static bool try(struct operation *op, short events)
{
	ssize_t ret = 0;

	switch (op->kind) {
	case SEND:
		ret = events ? sendmsg(op->fd, op->msg, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
		break;
	case SEND_DATA:
		ret = events ? send(op->fd, op->to, op->len, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
		break;
	case RECEIVE:
		ret = events ? recv(op->fd, op->to, op->len, MSG_DONTWAIT) : -1;
		break;
	case READ:
		ret = events ? read(op->fd, op->to, op->len) : -1;
		break;
	case WAIT:
		op->res = -ETIME;
		return ub_now_ms() >= op->at_ms;
	default:
		return op->kind == DONE;
	}
	op->res = ret < 0 ? -errno : (int)ret;
	return events && op->res != -EAGAIN;
}

static void wait_for_operations(struct ub_queue *q, struct pollfd *fds)
{
	int64_t now = ub_now_ms(), left = 1000;

	fds[OPS] = (struct pollfd){.fd = q->wake, .events = POLLIN};
	for (unsigned i = 0; i < OPS; i++) {
		const struct operation *op = &q->ops[i];

		fds[i].fd = op->kind >= SEND && op->kind <= READ ? op->fd : -1;
		fds[i].events = op->kind == SEND || op->kind == SEND_DATA ? POLLOUT : POLLIN;
		fds[i].revents = 0;
		if (op->kind == DONE)
			left = 0;
		if (op->kind == WAIT && op->at_ms - now < left)
			left = op->at_ms > now ? op->at_ms - now : 0;
	}
	(void)poll(fds, OPS + 1, (int)left);
}

/* Return: whether the queue is to end. */
static bool take_posted(struct ub_queue *q, bool woken)
{
	struct ub_io *io;
	eventfd_t count;
	bool ends;

	if (woken)
		(void)eventfd_read(q->wake, &count);
	(void)pthread_mutex_lock(&q->lock);
	io = q->posted;
	q->posted = NULL;
	ends = q->ends;
	(void)pthread_mutex_unlock(&q->lock);
	while (io) {
		struct ub_io *next = io->next;

		ub_target_nbd.submit(q, io);
		io = next;
	}
	return ends;
}

static void *run_queue(void *arg)
{
	struct ub_queue *q = arg;
	struct pollfd fds[OPS + 1];

	ub_target_nbd.event(q, UB_EVENT_BEGIN, 0);
	for (;;) {
		wait_for_operations(q, fds);
		for (unsigned i = 0; i < OPS; i++) {
			struct operation *op = &q->ops[i];

			if (op->kind == NONE || !try(op, fds[i].revents))
				continue;
			op->kind = NONE;
			ub_target_nbd.event(q, i, op->res);
			/* What is on its descriptor by now has not been polled. */
			for (unsigned k = i + 1; k < OPS; k++)
				if (q->ops[k].fd != fds[k].fd)
					fds[k].revents = 0;
		}
		if (take_posted(q, fds[OPS].revents) && ub_target_nbd.leaves(q))
			return NULL;
	}
}

/* Return: its result. */
static int ask_by(struct ub_queue *q, struct client *c, uint8_t op, uint32_t flags, uint64_t offset,
		  uint32_t len)
{
	struct ub_io *io = &q->ios[c->number];

	*io = (struct ub_io){.op = op,
			     .flags = flags,
			     .offset = offset,
			     .len = len,
			     .data = zero_copy ? NULL : c->data};
	(void)pthread_mutex_lock(&q->lock);
	io->next = q->posted;
	q->posted = io;
	(void)pthread_mutex_unlock(&q->lock);
	(void)eventfd_write(q->wake, 1);
	while (sem_wait(&c->ended) != 0)
		;
	return c->result;
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
	for (unsigned i = 0; i < count; i++) {
		struct ub_queue *q = &queues[i];

		*q = (struct ub_queue){.tgt = tgt, .wake = eventfd(0, EFD_CLOEXEC)};
		q->own.state = calloc(1, ub_target_nbd.queue_size + tgt->queue_more);
		q->states = calloc(CLIENTS, ub_target_nbd.io_size);
		(void)pthread_mutex_init(&q->lock, NULL);
		if (ub_target_nbd.queue_open(tgt, &q->own, &err) != 0)
			fail_msg("%s", err.msg);
	}
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pthread_create(&queues[i].thread, NULL, run_queue, &queues[i]), 0);
}

static void close_target(struct ub_tgt *tgt)
{
	for (unsigned i = 0; i < nr_queues; i++) {
		(void)pthread_mutex_lock(&queues[i].lock);
		queues[i].ends = true;
		(void)pthread_mutex_unlock(&queues[i].lock);
		(void)eventfd_write(queues[i].wake, 1);
	}
	for (unsigned i = 0; i < nr_queues; i++)
		(void)pthread_join(queues[i].thread, NULL);
	for (unsigned i = 0; i < nr_queues; i++) {
		ub_target_nbd.queue_close(tgt, &queues[i].own);
		free(queues[i].own.state);
		free(queues[i].states);
		(void)close(queues[i].wake);
	}
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
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.number = i};
		(void)sem_init(&clients[i].ended, 0, 0);
	}
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
