/* SPDX-License-Identifier: MIT */
/*
 * nbd_fuzz SECONDS SEED SLOTS [ADD_OPTION...]: with the programs that UBLK and DEADLINE name, in the current directory.
 * Prints the seed, how many lies of each kind were told, and what does not hold. A seed draws the same again, as far as
 * what runs at the same time comes in the same order.
 * Exit status: 0, or 1 if something does not hold; the devices are gone in either case.
 */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct slot slots[SLOTS_MAX];
_Atomic uint64_t lies[LIES], ios, io_errors;
atomic_bool failed;
uint64_t seed;

static unsigned count;
static int64_t end_ms;

static const char *const names[LIES] = {
	[LIE_TRICKLE] = "comes in pieces",
	[LIE_LATE] = "is late",
	[LIE_FLIP] = "bits are flipped",
	[LIE_CUT_CLOSE] = "breaks off",
	[LIE_CUT_MUTE] = "stops for ever",
	[LIE_CLOSE_BEHIND] = "is the last one",
	[LIE_GARBAGE_BEFORE] = "garbage comes before",
	[LIE_GARBAGE_BEHIND] = "garbage comes behind",
	[LIE_OTHER_EXPORT] = "another export",
	[LIE_OPTION_TYPE] = "option: another type",
	[LIE_OPTION_LENGTH] = "option: another length",
	[LIE_OPTION_ERROR] = "option: an error",
	[LIE_MORE_INFO] = "option: more than asked",
	[LIE_NO_INFO] = "option: no export",
	[LIE_ERROR] = "error",
	[LIE_ERROR_AND_DATA] = "error, and data",
	[LIE_SHUTDOWN] = "shutdown",
	[LIE_MAGIC] = "wrong magic",
	[LIE_COOKIE] = "wrong cookie",
	[LIE_STRUCTURED] = "structured reply",
	[LIE_TWICE] = "twice",
	[LIE_OLD] = "of before, once more",
	[LIE_SHORT_HEAD] = "head is too short",
	[LIE_MORE_DATA] = "too long",
	[LIE_NEVER] = "no answer",
	[LIE_UNASKED] = "of nothing",
	[LIE_TOGETHER] = "with the next one",
	[LIE_CRASH] = "crash, and loss",
};

int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void pause_ms(unsigned ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	(void)nanosleep(&time, NULL);
}

bool is_time_over(void)
{
	return now_ms() >= end_ms;
}

void fail(const struct slot *slot, const char *fmt, ...)
{
	char text[400];
	va_list args;

	/* What comes then comes of it. */
	if (atomic_exchange(&failed, true))
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)printf("FAILED, slot %u (profile %d, flags %u, blocks %u, %u%s%s%s), seed %llu: %s\n",
		     slot->number, (int)slot->profile, slot->flags, slot->block_min,
		     slot->block_max, slot->several ? ", several connections" : "",
		     slot->holds ? ", holds" : "", slot->replays ? ", replays" : "",
		     (unsigned long long)seed, text);
	(void)fflush(stdout);
}

uint64_t rnd_next(struct rnd *rnd)
{
	uint64_t z = rnd->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint32_t below(struct rnd *rnd, uint32_t n)
{
	return (uint32_t)((rnd_next(rnd) >> 32) * n >> 32);
}

bool one_in(struct rnd *rnd, uint32_t n)
{
	return below(rnd, n) == 0;
}

void rnd_bytes(struct rnd *rnd, void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((char *)to)[i] = (char)rnd_next(rnd);
}

bool lie(enum lie which)
{
	atomic_fetch_add(&lies[which], 1);
	return true;
}

unsigned slot_count(void)
{
	return count;
}

static void print_counts(void)
{
	uint64_t sum = 0, connections = 0;

	for (unsigned i = 0; i < LIES; i++) {
		uint64_t n = atomic_load(&lies[i]);

		sum += n;
		(void)printf("%8llu  %s\n", (unsigned long long)n, names[i]);
	}
	for (unsigned i = 0; i < count; i++)
		connections += atomic_load(&slots[i].connections);
	(void)printf(
		"%llu lies; %llu connections, %llu I/Os of which %llu failed, %llu devices, the "
		"longest deletion by force %lld ms\n",
		(unsigned long long)sum, (unsigned long long)connections,
		(unsigned long long)atomic_load(&ios), (unsigned long long)atomic_load(&io_errors),
		(unsigned long long)atomic_load(&rounds_done),
		(long long)atomic_load(&longest_deletion));
	(void)fflush(stdout);
}

static void make_slot(struct slot *slot, unsigned number)
{
	slot->number = number;
	slot->disk = malloc(SIZE);
	slot->stable = malloc(SIZE);
	if (!slot->disk || !slot->stable || pthread_mutex_init(&slot->lock, NULL) != 0)
		abort();
}

int main(int argc, char **argv)
{
	pthread_t threads[SLOTS_MAX];

	if (argc < 4 || !getenv("UBLK") || !getenv("DEADLINE")) {
		fprintf(stderr, "usage: UBLK=... DEADLINE=... nbd_fuzz SECONDS SEED SLOTS "
				"[ADD_OPTION...]\n");
		return 125;
	}
	end_ms = now_ms() + atoll(argv[1]) * 1000;
	seed = strtoull(argv[2], NULL, 10);
	count = (unsigned)strtoul(argv[3], NULL, 10);
	if (count > SLOTS_MAX)
		count = SLOTS_MAX;
	add_options = argv + 4;
	(void)printf("seed %llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	for (unsigned i = 0; i < count; i++) {
		make_slot(&slots[i], i);
		if (pthread_create(&threads[i], NULL, rounds, &slots[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < count; i++)
		while (!atomic_load(&failed) && pthread_tryjoin_np(threads[i], NULL) != 0)
			pause_ms(20);
	print_counts();
	if (!atomic_load(&failed))
		_exit(0);
	delete_all();
	_exit(1);
}
