/* SPDX-License-Identifier: MIT */
/*
 * Requests that are in hand for too long (--stall-sec), told in the log, and to whoever asks. What each
 * thread has found is taken, as long as its timer runs; and seen besides what no thread can see:
 *
 * - that a thread does not come back, since a call of its own blocks;
 * - that an operation which the kernel was given together with its end (link.c) does not end: the block
 *   layer has requests under way, no thread has any, and nothing comes or goes. Where others come and go, it
 *   can't be told.
 *
 * Time is counted by looks here, too: of a server that was stopped for a while, no request counts as
 * stalled when it goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clean.h"
#include "base/clock.h"
#include "kernel/sysfs.h"
#include "memory/desc.h"
#include "server/server.h"
#include "stats/stats.h"

#define LOOK_MS (UB_TIMER_S * 1000)

/* What is the matter with a thread. */
struct stall {
	uint64_t ios; /* in hand for too long */
	uint8_t op;   /* of one of them */
	bool thread;  /* it does not come back */
};

struct server_watch {
	uint32_t beat;     /* its last look that was seen, */
	uint32_t silent;   /* and looks of ours since then */
	uint32_t answered; /* the one at which the kernel had ended all that it asks for */
	struct stall stall;
	int64_t since_ms;
};

int server_make_watches(struct server *s, unsigned count)
{
	s->watches = calloc(count, sizeof(*s->watches));
	return s->watches ? 0 : -ENOMEM;
}

static struct ub_stats *stats_of(struct server *s, unsigned i)
{
	return ub_space_part(&s->space, i, UB_PART_STATS);
}

/* Looks without an answer after which a request has been in hand for long enough: the first may come right
 * after the thread's own, and the last right before that. */
static uint32_t looks_needed(const struct server *s)
{
	return s->record.spec.stall_s / UB_TIMER_S + 2;
}

static const char *name_of(uint8_t op)
{
	const char *name = ub_desc_op_name(op);

	return name ? name : "request";
}

static unsigned kind_of(uint8_t op)
{
	return op < UB_STATS_OPS ? op : UB_STATS_UNKNOWN;
}

static void tell(struct server *s, unsigned i, const struct stall *stall)
{
	struct server_watch *w = &s->watches[i];
	unsigned queue = ub_queue_id(s->queues[i]);

	if (!stall->ios)
		ub_log(&s->log, LOG_NOTICE, "queue %u goes on, after %lld s", queue,
		       (long long)(ub_now_ms() - w->since_ms) / 1000);
	else if (stall->thread)
		ub_log(&s->log, LOG_WARNING,
		       "queue %u: a %s has been in hand for more than %u s, and its thread does "
		       "not come back from the kernel",
		       queue, name_of(stall->op), s->record.spec.stall_s);
	else
		ub_log(&s->log, LOG_WARNING, "queue %u: a %s has been in hand for more than %u s",
		       queue, name_of(stall->op), s->record.spec.stall_s);
}

/* It is published before it is logged: the log may lie on what hangs. */
static void set(struct server *s, unsigned i, const struct stall *stall)
{
	struct server_watch *w = &s->watches[i];
	struct ub_stats_stall *told = &stats_of(s, i)->stall;
	bool news = !w->stall.ios != !stall->ios;

	if (news && stall->ios)
		w->since_ms = ub_now_ms() - (int64_t)s->record.spec.stall_s * 1000;
	w->stall = *stall;
	ub_stats_set(&told->since_ms, (uint64_t)w->since_ms);
	ub_stats_set(&told->op, kind_of(stall->op));
	ub_stats_set(&told->ios, stall->ios);
	if (news)
		tell(s, i, stall);
}

/* What its thread has begun and not ended; it has one alone if that blocks it. */
static uint8_t op_in_hand(const struct ub_stats *stats)
{
	for (uint8_t op = UB_STATS_OPS; op-- > 0;) {
		const struct ub_stats_op *numbers = ub_stats_op((struct ub_stats *)stats, op);

		if (ub_stats_get(&numbers->ended) != ub_stats_get(&numbers->begun))
			return op;
	}
	return UB_STATS_UNKNOWN;
}

/* Return: it comes back from what it does. */
static bool hear(struct server *s, unsigned i, const struct ub_queue_pulse *pulse)
{
	struct server_watch *w = &s->watches[i];

	if (!pulse->beats || pulse->beat != w->beat)
		w->silent = 0;
	else if (w->silent <= looks_needed(s))
		w->silent++;
	w->beat = pulse->beat;
	return w->silent < 2;
}

static struct stall find_stall(struct server *s, unsigned i, const struct ub_queue_pulse *pulse)
{
	if (s->watches[i].silent > looks_needed(s))
		return (struct stall){1, op_in_hand(stats_of(s, i)), true};
	if (!pulse->stalled && s->kernels.ios && s->kernels.thread == i)
		return (struct stall){.ios = s->kernels.ios, .op = s->kernels.op};
	return (struct stall){.ios = pulse->stalled, .op = pulse->op};
}

/* Of all threads: requests that have come, and that are in hand. */
static void count(struct server *s, uint64_t *ret_begun, uint64_t *ret_in_hand)
{
	uint64_t ended = 0;

	*ret_begun = 0;
	for (unsigned i = 0; i < s->nr_queues; i++)
		for (unsigned op = 0; op < UB_STATS_OPS; op++) {
			const struct ub_stats_op *numbers = ub_stats_op(stats_of(s, i), op);

			ended += ub_stats_get(&numbers->ended);
			*ret_begun += ub_stats_get(&numbers->begun);
		}
	*ret_in_hand = *ret_begun - ended;
}

/* Of the block layer: requests under way. Return: false: it does not tell. */
static bool read_under_way(const struct server *s, uint64_t *ret_reads, uint64_t *ret_writes)
{
	char line[64], *at;

	if (ub_sysfs_line(line, sizeof(line), "/sys/block/ublkb%u/inflight", s->record.id) <= 0)
		return false;
	*ret_reads = strtoull(line, &at, 10);
	*ret_writes = strtoull(at, NULL, 10);
	return true;
}

/*
 * @asking: a thread that asks; nobody tells which of several has it. What has been told once is over when the
 * block layer has no more under way than the threads have in hand. Return: is there an answer?
 */
static bool look_at_kernel(struct server *s, unsigned asking)
{
	struct server_kernels *k = &s->kernels;
	uint64_t reads = 0, writes = 0, in_hand, begun;
	bool goes_on;

	count(s, &begun, &in_hand);
	goes_on = begun != k->begun;
	k->begun = begun;
	if (!read_under_way(s, &reads, &writes) || reads + writes <= in_hand) {
		k->silent = 0;
		k->ios = 0;
		return reads + writes == 0;
	}
	if (k->ios) {
		k->ios = reads + writes - in_hand;
		return false;
	}
	k->silent = goes_on ? 0 : k->silent + 1;
	if (k->silent > looks_needed(s)) {
		k->ios = reads + writes - in_hand;
		k->op = reads ? UB_STATS_READ : UB_STATS_WRITE;
		k->thread = asking;
	}
	return false;
}

/* A thread that blocks has not begun what the driver has for it: then nothing can be told of the kernel. Return:
 * it is to be looked at again. */
static bool ask_kernel(struct server *s, const struct ub_queue_pulse *pulses, bool all_heard)
{
	unsigned asking = s->nr_queues;

	for (unsigned i = s->nr_queues; i-- > 0;)
		if (pulses[i].asks && pulses[i].beat != s->watches[i].answered)
			asking = i;
	if (asking == s->nr_queues && !s->kernels.ios)
		return false;
	if (!all_heard || !look_at_kernel(s, asking))
		return true;
	for (unsigned i = 0; i < s->nr_queues; i++)
		s->watches[i].answered = pulses[i].beat;
	return false;
}

void server_look_for_stalls(struct server *s)
{
	_cleanup_free_ struct ub_queue_pulse *pulses = calloc(s->nr_queues + 1, sizeof(*pulses));
	bool again = false, all_heard = true;

	s->look_ms = 0;
	if (!s->record.spec.stall_s || !pulses)
		return;
	for (unsigned i = 0; i < s->nr_queues; i++) {
		ub_queue_get_pulse(s->queues[i], &pulses[i]);
		again |= pulses[i].beats;
		all_heard &= hear(s, i, &pulses[i]);
	}
	again |= ask_kernel(s, pulses, all_heard);
	for (unsigned i = 0; i < s->nr_queues; i++) {
		struct stall stall = find_stall(s, i, &pulses[i]);

		set(s, i, &stall);
	}
	if (again)
		server_look_later(s);
}

void server_look_later(struct server *s)
{
	if (!s->look_ms && s->live)
		s->look_ms = ub_now_ms() + LOOK_MS;
}

uint64_t server_longest_stall(const struct server *s, unsigned *ret_queue, uint8_t *ret_op)
{
	int64_t now = ub_now_ms(), longest = 0;

	for (unsigned i = 0; i < s->nr_queues; i++) {
		const struct server_watch *w = &s->watches[i];

		if (!w->stall.ios || now - w->since_ms <= longest)
			continue;
		longest = now - w->since_ms;
		*ret_queue = ub_queue_id(s->queues[i]);
		*ret_op = w->stall.op;
	}
	return (uint64_t)longest;
}
