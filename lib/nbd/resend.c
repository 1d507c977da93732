/* SPDX-License-Identifier: MIT */
#include "nbd/resend.h"

#include <stddef.h>

void ub_nbd_resend_begin(struct ub_nbd_resend *r, struct ub_nbd_kept *rings, uint64_t flushed)
{
	*r = (struct ub_nbd_resend){.rings = rings};
	for (struct ub_nbd_kept *ring = rings; ring; ring = ring->beside) {
		ub_nbd_kept_drop(ring, flushed);
		ring->resend = ring->from;
	}
}

/* The ring that has the oldest change that was not sent, or NULL: all were. */
static struct ub_nbd_kept *find_oldest(const struct ub_nbd_resend *r,
				       struct ub_nbd_change **ret_oldest)
{
	struct ub_nbd_kept *found = NULL;

	*ret_oldest = NULL;
	for (struct ub_nbd_kept *ring = r->rings; ring; ring = ring->beside) {
		uint64_t place = ring->resend;
		struct ub_nbd_change *change = ub_nbd_kept_next(ring, &place);

		if (!change || (*ret_oldest && change->number > (*ret_oldest)->number))
			continue;
		*ret_oldest = change;
		found = ring;
	}
	return found;
}

static bool overlap(const struct ub_nbd_change *a, const struct ub_nbd_change *b)
{
	return a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

struct ub_nbd_change *ub_nbd_resend_next(struct ub_nbd_resend *r)
{
	struct ub_nbd_change *change;
	struct ub_nbd_kept *ring = find_oldest(r, &change);

	if (!ring || r->count == UB_NBD_RESEND_MOST)
		return NULL;
	for (unsigned i = 0; i < r->count; i++)
		if (overlap(r->sent[i], change))
			return NULL;
	ring->resend += change->stored;
	r->sent[r->count++] = change;
	return change;
}

bool ub_nbd_resend_answered(struct ub_nbd_resend *r, uint64_t cookie)
{
	unsigned i = 0;

	while (i < r->count && nbd_cookie(r->sent[i]->head) != cookie)
		i++;
	if (i == r->count)
		return false;
	r->sent[i] = r->sent[--r->count];
	return true;
}

bool ub_nbd_resend_is_over(const struct ub_nbd_resend *r)
{
	struct ub_nbd_change *oldest;

	return !r->count && !find_oldest(r, &oldest);
}
