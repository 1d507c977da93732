/* SPDX-License-Identifier: MIT */
/* A device, as it was seen at one moment, as far as it is told when that changes (changes.h). Only what it is:
 * who looks is sight.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/stats.h"

struct ub_seen {
	uint32_t id;
	uint64_t token,
		birth; /* another device that gets its number has others; birth 0: not known */
	char *name;    /* owned; NULL: it has none, or is not known yet */
	bool managed;
	unsigned state; /* UBLK_S_DEV_* */
	bool settled;   /* false: that is about to change, and what was before is told */
	bool parked;    /* it has no server by intent */
	int32_t pid;    /* of its server; 0: it has none, or is not known */
	uint64_t start_time;
	uint64_t size;  /* bytes; 0: not known */
	int restart;    /* enum ub_restart_state */
	bool counted;   /* errors are known */
	uint64_t since; /* when counting them began */
	uint64_t errors[UB_STATS_OPS];
	struct ub_dev_stall stall; /* requests that are in hand for too long, if errors are known */
	char **users;              /* owned, each as a sentence, in ascending order */
	size_t nr_users;
};

/* Is it the same device? Not another one that has got the number. */
bool ub_seen_is_same(const struct ub_seen *a, const struct ub_seen *b);

/* Has its server requests in hand for too long? Of one that has none, the file says what that has left. */
bool ub_seen_is_stalled(const struct ub_seen *seen);

/* Return: 0 or -ENOMEM; @ret_copy is to be freed in any case. */
int ub_seen_copy(const struct ub_seen *seen, struct ub_seen *ret_copy);
void ub_seen_done(struct ub_seen *seen);

/* Its users alone; @to has none. Return: 0 or -ENOMEM. */
int ub_seen_copy_users(const struct ub_seen *from, struct ub_seen *to);
void ub_seen_drop_users(struct ub_seen *seen);
