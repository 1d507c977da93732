/* SPDX-License-Identifier: MIT */
/*
 * What has changed between two looks at the machine's devices: two lists in, events out. Looks at nothing
 * itself (sight.c does), so what comes and goes between two looks is no event.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "device/seen.h"

enum ub_change_kind {
	UB_CHANGE_ADDED,
	UB_CHANGE_LIVE,     /* for the first time */
	UB_CHANGE_QUIESCED, /* or failed, or dead: its server is gone */
	UB_CHANGE_FAILED,
	UB_CHANGE_DEAD,
	UB_CHANGE_RECOVERED, /* another server serves it */
	UB_CHANGE_RESIZED,
	UB_CHANGE_ERROR,     /* requests have failed, of one operation */
	UB_CHANGE_STALLED,   /* its server has requests in hand for too long */
	UB_CHANGE_UNSTALLED, /* the same server has none any more */
	UB_CHANGE_RESTART,   /* who starts another server is in another state */
	UB_CHANGE_USED,      /* its users are others, and there are some */
	UB_CHANGE_UNUSED,    /* it has no users any more */
	UB_CHANGE_DELETED,
	UB_CHANGE_COUNT
};

extern const char *const ub_change_names[]; /* by enum ub_change_kind, NULL-terminated */

struct ub_change {
	enum ub_change_kind kind;
	const struct ub_seen *dev;    /* as it is now; of one that is gone, as it was */
	const struct ub_seen *before; /* NULL: it was not there */
	unsigned op;                  /* of errors: enum ub_stats_op_kind */
	uint64_t errors;              /* that have come */
};

/*
 * Tells each change, device by device. Both lists are by ascending id; in @after, what is not settled
 * becomes what it was before.
 */
void ub_changes_find(const struct ub_seen *before, size_t nr_before, struct ub_seen *after,
		     size_t nr_after, void (*tell)(const struct ub_change *change, void *arg),
		     void *arg);
