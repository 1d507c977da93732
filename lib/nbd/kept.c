/* SPDX-License-Identifier: MIT */
#include "nbd/kept.h"

_Static_assert(sizeof(struct ub_nbd_change) <= UB_NBD_CHANGE_SIZE, "its data lies behind it");

static struct ub_nbd_change *change_at(const struct ub_nbd_kept *kept, uint64_t place)
{
	return (void *)(kept->ring + place % kept->size);
}

struct ub_nbd_change *ub_nbd_kept_room(struct ub_nbd_kept *kept, uint32_t bytes)
{
	uint64_t need = UB_NBD_CHANGE_SIZE, skip = 0;
	struct ub_nbd_change *change;

	need += ((uint64_t)bytes + UB_NBD_CHANGE_SIZE - 1) / UB_NBD_CHANGE_SIZE *
		UB_NBD_CHANGE_SIZE;
	if (need > kept->size)
		return NULL;
	if (kept->from == kept->to)
		kept->from = kept->to = 0;
	/* In one piece. */
	if (kept->to % kept->size + need > kept->size)
		skip = kept->size - kept->to % kept->size;
	if (ub_nbd_kept_used(kept) + skip + need > kept->size)
		return NULL;
	if (skip)
		kept->last->stored += (uint32_t)skip;
	kept->to += skip;
	change = change_at(kept, kept->to);
	*change = (struct ub_nbd_change){.stored = (uint32_t)need};
	return change;
}

void ub_nbd_keep(struct ub_nbd_kept *kept, struct ub_nbd_change *change)
{
	kept->last = change;
	kept->to += change->stored;
}

void ub_nbd_kept_drop(struct ub_nbd_kept *kept, uint64_t number)
{
	while (kept->from != kept->to) {
		const struct ub_nbd_change *oldest = change_at(kept, kept->from);

		if (oldest->number >= number)
			return;
		kept->from += oldest->stored;
	}
}

struct ub_nbd_change *ub_nbd_kept_next(const struct ub_nbd_kept *kept, uint64_t *place)
{
	struct ub_nbd_change *change;

	if (*place < kept->from)
		*place = kept->from;
	if (*place >= kept->to)
		return NULL;
	change = change_at(kept, *place);
	*place += change->stored;
	return change;
}
