/* SPDX-License-Identifier: MIT */
/*
 * How the threads of a device wait for each other when a connection is lost: what is sent again then (nbd_replay.c) is
 * older than what a thread that does not know of it may write meanwhile, on another connection to the same server or
 * to one that has come in its place. So a loss begins a round, which has a number:
 *
 *  1. Whoever loses a connection begins the next round, unless it has not come to the last one yet, and calls all others
 *     by a descriptor that their rings watch.
 *  2. A thread that is called sends nothing any more. What it has with the server it lets end: a server that is alive
 *     might do it late else, over what is newer. Then it gives its connection up, too. An answer that takes too long
 *     is a loss as ever (--request-sec).
 *  3. Each connects anew, as after any loss, and comes to the round: it has nothing under way then, and its ring of
 *     kept changes lies still until it is up.
 *  4. One of those who see that all have come takes the round upon itself, and sends again what all have kept.
 *  5. When all of that has been answered, and no other round has begun, the round is over, and all go up.
 *
 * Why that is enough: servers that come one after the other in the same place are not alive at the same time. All
 * connections are made before anything is sent again, and the server that has answered the last of that was alive
 * then; so each connection leads to that one, or to one that is dead, which does nothing any more. A connection that is
 * made later belongs to a later round, in which all is sent again that is not durable by then.
 *
 * A round that is overtaken by another one is not ended before what was sent again has been answered: step 2 holds for
 * it as well. A thread that serves no more counts as one that has come; what it has kept stays. Nobody takes a lock,
 * and who waits does so on its ring. As long as nothing is lost, all of this is one read that waits for a call.
 *
 * A thread that cannot connect keeps all of them waiting, for what it would do there is the same for each; --hold-sec
 * holds for all.
 */
#include <sys/eventfd.h>

#include "base/clock.h"
#include "target/nbd.h"

void ub_nbd_round_hear(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (l->call_fd >= 0)
		ub_own_read(q, OWN_CALL, l->call_fd, &l->calls, sizeof(l->calls));
}

static void call_others(struct ub_queue *q)
{
	const struct ub_nbd_link *me = ub_nbd_link_of(q);

	for (struct ub_nbd_link *l = ub_nbd_of(q)->links; l; l = l->beside)
		if (l != me && l->call_fd >= 0)
			(void)eventfd_write(l->call_fd, 1);
}

void ub_nbd_round_begin(struct ub_queue *q)
{
	uint64_t came = atomic_load(&ub_nbd_link_of(q)->came);

	if (atomic_compare_exchange_strong(&ub_nbd_of(q)->round, &came, came + 1))
		call_others(q);
}

static bool have_all_come(const struct ub_nbd *n, uint64_t round)
{
	for (const struct ub_nbd_link *l = n->links; l; l = l->beside)
		if (atomic_load(&l->came) != round && !atomic_load(&l->left))
			return false;
	return true;
}

void ub_nbd_round_come(struct ub_queue *q)
{
	atomic_store(&ub_nbd_link_of(q)->came, atomic_load(&ub_nbd_of(q)->round));
}

bool ub_nbd_round_is_overtaken(struct ub_queue *q)
{
	return atomic_load(&ub_nbd_of(q)->round) != atomic_load(&ub_nbd_link_of(q)->came);
}

bool ub_nbd_round_is_over(struct ub_queue *q)
{
	return atomic_load(&ub_nbd_of(q)->replayed) == atomic_load(&ub_nbd_link_of(q)->came);
}

bool ub_nbd_round_claim(struct ub_queue *q)
{
	struct ub_nbd *n = ub_nbd_of(q);
	uint64_t came = atomic_load(&ub_nbd_link_of(q)->came), last = atomic_load(&n->claimed);

	return have_all_come(n, came) && last < came &&
	       atomic_compare_exchange_strong(&n->claimed, &last, came);
}

void ub_nbd_round_end(struct ub_queue *q)
{
	atomic_store(&ub_nbd_of(q)->replayed, atomic_load(&ub_nbd_link_of(q)->came));
	call_others(q);
}

void ub_nbd_round_leave(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	atomic_store(&l->left, true);
	/* What it has begun to send again another one has to. */
	if (l->state == LINK_REPLAYING)
		ub_nbd_round_begin(q);
	call_others(q);
}

void ub_nbd_tell_away(struct ub_queue *q, int error)
{
	const struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_tgt_away *away = &ub_queue_target(q)->away;
	bool news = !atomic_load(&away->since_ms) != !l->lost_ms ||
		    (ub_away_lacks_program(error) && error != atomic_load(&away->error));

	/* Others are, still. */
	if (!l->lost_ms && atomic_load(&ub_nbd_of(q)->away))
		return;
	if (error)
		atomic_store(&away->error, error);
	else
		atomic_store(&away->may_lose, false);
	atomic_store(&away->tries, l->tries);
	atomic_store(&away->since_ms, l->lost_ms);
	/* One that is lost just now may have told it before. */
	if (!l->lost_ms && atomic_load(&ub_nbd_of(q)->away)) {
		atomic_store(&away->since_ms, ub_now_ms());
		ub_nbd_note_loss(q);
	}
	if (news)
		ub_queue_tell(q);
}
