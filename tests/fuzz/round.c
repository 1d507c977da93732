/* SPDX-License-Identifier: MIT */
/* The life of a device, again and again. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 64

char **add_options;
_Atomic uint64_t rounds_done;
_Atomic int64_t longest_deletion;

struct words {
	char *list[WORDS_MAX];
	unsigned count;
	char number[16], replay[16];
};

static void say(struct words *w, const char *word)
{
	if (w->count < WORDS_MAX - 1)
		w->list[w->count++] = (char *)(uintptr_t)word;
}

static void begin_words(struct words *w, const char *verb, const struct slot *slot)
{
	*w = (struct words){0};
	(void)snprintf(w->number, sizeof(w->number), "%u", slot->number);
	say(w, getenv("DEADLINE"));
	say(w, "240");
	say(w, getenv("UBLK"));
	say(w, verb);
	say(w, "-n");
	say(w, w->number);
}

/* Return: the process, or -1. */
static pid_t start(const struct slot *slot, struct words *w)
{
	extern char **environ;
	posix_spawn_file_actions_t files;
	char log[32];
	pid_t pid;

	(void)snprintf(log, sizeof(log), "ublk.%u", slot->number);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	(void)posix_spawn_file_actions_adddup2(&files, 1, 2);
	if (posix_spawn(&pid, w->list[0], &files, NULL, w->list, environ) != 0) {
		fail(slot, "cannot start %s", w->list[0]);
		pid = -1;
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return pid;
}

/* Return: the exit status, or -1: it was killed. */
static int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run(const struct slot *slot, struct words *w)
{
	return end_of(start(slot, w));
}

static pid_t start_delete(const struct slot *slot, bool force)
{
	struct words w;

	begin_words(&w, "del", slot);
	if (force)
		say(&w, "--force");
	say(&w, "--timeout");
	say(&w, "200");
	return start(slot, &w);
}

static int remove_device(const struct slot *slot, bool force)
{
	return end_of(start_delete(slot, force));
}

static int add(struct slot *slot, struct rnd *rnd, const char *uri)
{
	struct words w;
	bool through = slot->several || (one_in(rnd, 4) && slot->flags & NBD_EXPORT_FLUSH);

	begin_words(&w, "add", slot);
	say(&w, "-t");
	say(&w, "nbd");
	say(&w, "--uri");
	say(&w, uri);
	say(&w, "--request-sec");
	say(&w, one_in(rnd, 2) ? "1" : "2");
	if (slot->several) {
		say(&w, "-q");
		say(&w, "2");
	}
	slot->replays = !through && slot->flags & NBD_EXPORT_FLUSH;
	if (through) {
		say(&w, "--write-through");
	} else if (one_in(rnd, 2)) {
		(void)snprintf(w.replay, sizeof(w.replay), "%uK", 64U << below(rnd, 5));
		say(&w, "--replay-memory");
		say(&w, w.replay);
	}
	/* Where tags are few, what was said of one comes to the next request that has it. */
	if (one_in(rnd, 2)) {
		say(&w, "--depth");
		say(&w, one_in(rnd, 2) ? "2" : "6");
	}
	if (slot->holds) {
		say(&w, "--hold-sec");
		say(&w, one_in(rnd, 2) ? "0" : "1");
	}
	for (char **o = add_options; *o; o++)
		say(&w, *o);
	return run(slot, &w);
}

static void draw_round(struct slot *slot, struct rnd *rnd)
{
	static const uint32_t sizes[] = {1, 512, 4096};

	slot->profile = (enum profile)below(rnd, PROFILES);
	slot->several = !slot->tcp && one_in(rnd, 3);
	slot->holds = slot->profile == PROFILE_ERRORS && one_in(rnd, 3);
	slot->flags = 1 | NBD_EXPORT_FLUSH;
	if (slot->profile == PROFILE_ERRORS && !slot->several && one_in(rnd, 3))
		slot->flags &= (uint16_t)~NBD_EXPORT_FLUSH;
	if (slot->flags & NBD_EXPORT_FLUSH && !one_in(rnd, 3))
		slot->flags |= NBD_EXPORT_FUA;
	if (!one_in(rnd, 3))
		slot->flags |= NBD_EXPORT_TRIM;
	if (!one_in(rnd, 3))
		slot->flags |= NBD_EXPORT_WRITE_ZEROES;
	if (slot->several)
		slot->flags |= NBD_EXPORT_MULTI_CONN;
	slot->block_min = sizes[below(rnd, 3)];
	slot->block_preferred = 4096;
	slot->block_max = one_in(rnd, 2) ? 32U << 20 : 65536U << below(rnd, 3);
	pthread_mutex_lock(&slot->lock);
	image_reset(slot);
	pthread_mutex_unlock(&slot->lock);
}

static void be(struct slot *slot, unsigned shake_lies, unsigned reply_lies)
{
	atomic_store(&slot->shake_lies, shake_lies);
	atomic_store(&slot->reply_lies, reply_lies);
}

/* Of a server that lies from the first byte on: it is refused, or has a device that is of no use. */
static void add_to_lies(struct slot *slot, struct rnd *rnd, const char *uri)
{
	int status;

	be(slot, 1 + below(rnd, 2), 0);
	status = add(slot, rnd, uri);
	be(slot, 0, 0);
	if (status == 0 && (status = remove_device(slot, false)) != 0)
		fail(slot, "a device cannot be deleted: exit status %d", status);
	else if (status < 0 || status > 7)
		fail(slot, "ublk add of a server that lies ends with %d", status);
}

static void sleep_ms(unsigned ms)
{
	int64_t until = now_ms() + ms;

	while (now_ms() < until && !is_time_over() && !atomic_load(&failed))
		pause_ms(20);
}

/* The server is honest: I/O of every client goes on. */
static void wait_for_clients(struct slot *slot)
{
	int64_t until = now_ms() + PATIENCE_MS;

	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t goal = atomic_load(&slot->done[i]) + 2;

		while (atomic_load(&slot->done[i]) < goal && !atomic_load(&failed)) {
			if (now_ms() > until)
				fail(slot, "I/O does not go on, and the server is honest");
			pause_ms(10);
		}
	}
}

static void phases(struct slot *slot, struct rnd *rnd)
{
	for (uint32_t n = 2 + below(rnd, 12); n > 0 && !is_time_over() && !atomic_load(&failed);
	     n--) {
		/* Where hardly a handshake comes to its end there is little else to lie about. */
		be(slot, one_in(rnd, 8) ? 1 + below(rnd, 6) : 12 + below(rnd, 40),
		   one_in(rnd, 4) ? 4 + below(rnd, 12) : 1 + below(rnd, 3));
		sleep_ms(500 + below(rnd, 12000));
		be(slot, 0, 0);
		wait_for_clients(slot);
	}
}

static void join(struct slot *slot, pthread_t *threads)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	atomic_store(&slot->stop, true);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (pthread_timedjoin_np(threads[i], NULL, &until) == 0)
			continue;
		fail(slot, "a request does not end");
		/* Whatever it has is in use. */
		for (;;)
			pause_ms(1000);
	}
}

static void end_orderly(struct slot *slot, pthread_t *threads, int fd)
{
	bool flushed;
	int status;

	join(slot, threads);
	verify_device(slot, fd);
	flushed = slot->flags & NBD_EXPORT_FLUSH && fdatasync(fd) == 0;
	if (slot->flags & NBD_EXPORT_FLUSH && !flushed && slot->profile != PROFILE_ERRORS)
		fail(slot, "an honest server's device can't be flushed: %s", strerror(errno));
	(void)close(fd);
	status = remove_device(slot, false);
	if (status != 0)
		fail(slot, "a device cannot be deleted: exit status %d", status);
	if (flushed)
		verify_stable(slot, true);
}

static void note_deletion(int64_t ms)
{
	int64_t most = atomic_load(&longest_deletion);

	while (ms > most && !atomic_compare_exchange_weak(&longest_deletion, &most, ms))
		;
}

/* While it lies, and all use it. */
static void end_by_force(struct slot *slot, struct rnd *rnd, pthread_t *threads, int fd)
{
	int64_t begin;
	int status;
	pid_t pid;

	be(slot, below(rnd, 8), 1 + below(rnd, 4));
	sleep_ms(below(rnd, 2000));
	atomic_store(&slot->dies, true);
	pid = start_delete(slot, true);
	pause_ms(below(rnd, 500));
	begin = now_ms();
	join(slot, threads);
	(void)close(fd);
	status = end_of(pid);
	note_deletion(now_ms() - begin);
	if (status != 0)
		fail(slot, "a device cannot be deleted by force: exit status %d", status);
	be(slot, 0, 0);
	pthread_mutex_lock(&slot->lock);
	slot->epoch++;
	image_crash(slot, rnd);
	pthread_mutex_unlock(&slot->lock);
	if (slot->flags & NBD_EXPORT_FLUSH)
		verify_stable(slot, false);
}

static void use(struct slot *slot, struct rnd *rnd)
{
	struct client clients[CLIENTS];
	pthread_t threads[CLIENTS];
	char path[32];
	uint64_t size = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/ublkb%u", slot->number);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0 || size != SIZE) {
		fail(slot, "%s can't be used: %s, size %llu", path, strerror(errno),
		     (unsigned long long)size);
		return;
	}
	atomic_store(&slot->stop, false);
	atomic_store(&slot->dies, false);
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){slot, i, fd, {rnd_next(rnd)}};
		if (pthread_create(&threads[i], NULL, client, &clients[i]) != 0)
			abort();
	}
	phases(slot, rnd);
	if (one_in(rnd, 3))
		end_by_force(slot, rnd, threads, fd);
	else
		end_orderly(slot, threads, fd);
}

void *rounds(void *arg)
{
	struct slot *slot = arg;
	struct rnd rnd = {seed * 31 + slot->number};
	char uri[192];

	slot->tcp = slot->number % 2;
	serve_begin(slot, uri, sizeof(uri));
	while (!is_time_over() && !atomic_load(&failed)) {
		draw_round(slot, &rnd);
		if (one_in(&rnd, 4))
			add_to_lies(slot, &rnd, uri);
		be(slot, 0, 0);
		if (add(slot, &rnd, uri) != 0) {
			fail(slot, "ublk add fails, of an honest server");
			break;
		}
		use(slot, &rnd);
		atomic_fetch_add(&rounds_done, 1);
	}
	return NULL;
}

void delete_all(void)
{
	for (unsigned i = 0; i < slot_count(); i++)
		(void)remove_device(&slots[i], true);
}
