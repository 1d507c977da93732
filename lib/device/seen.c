/* SPDX-License-Identifier: MIT */
#include "device/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/uapi.h"

bool ub_seen_is_same(const struct ub_seen *a, const struct ub_seen *b)
{
	return a->id == b->id && a->token == b->token &&
	       (!a->birth || !b->birth || a->birth == b->birth);
}

bool ub_seen_is_stalled(const struct ub_seen *seen)
{
	return seen->state == UBLK_S_DEV_LIVE && ub_dev_stalled(&seen->stall);
}

void ub_seen_drop_users(struct ub_seen *seen)
{
	for (size_t i = 0; i < seen->nr_users; i++)
		free(seen->users[i]);
	free(seen->users);
	seen->users = NULL;
	seen->nr_users = 0;
}

void ub_seen_done(struct ub_seen *seen)
{
	ub_seen_drop_users(seen);
	free(seen->name);
	*seen = (struct ub_seen){0};
}

int ub_seen_copy_users(const struct ub_seen *from, struct ub_seen *to)
{
	to->users = calloc(from->nr_users + 1, sizeof(*to->users));
	if (!to->users)
		return -ENOMEM;
	for (; to->nr_users < from->nr_users; to->nr_users++) {
		to->users[to->nr_users] = strdup(from->users[to->nr_users]);
		if (!to->users[to->nr_users])
			return -ENOMEM;
	}
	return 0;
}

int ub_seen_copy(const struct ub_seen *seen, struct ub_seen *ret_copy)
{
	*ret_copy = *seen;
	ret_copy->users = NULL;
	ret_copy->nr_users = 0;
	ret_copy->name = seen->name ? strdup(seen->name) : NULL;
	return seen->name && !ret_copy->name ? -ENOMEM : ub_seen_copy_users(seen, ret_copy);
}
