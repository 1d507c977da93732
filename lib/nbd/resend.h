/* SPDX-License-Identifier: MIT */
/*
 * Sends again what is kept in several rings (nbd/kept.h): each change once, by their numbers, whichever ring they are
 * in. A server carries out what it has been sent in any order; so none goes before all older ones that it overlaps
 * with have been answered. Knows no connection: who uses it sends, and says what was answered.
 */
#pragma once

#include "nbd/kept.h"

/* Changes that are under way at once. */
#define UB_NBD_RESEND_MOST 64U

struct ub_nbd_resend {
	struct ub_nbd_kept *rings; /* borrowed, with all that stand beside it */
	struct ub_nbd_change *sent[UB_NBD_RESEND_MOST]; /* and not answered, in any order */
	unsigned count;                                 /* of these */
};

/* From the beginning, of all rings; what has a number below @flushed is durable, and dropped. */
void ub_nbd_resend_begin(struct ub_nbd_resend *r, struct ub_nbd_kept *rings, uint64_t flushed);
/* Return: a change that is to be sent now; NULL: there is none before something was answered, or at all. */
struct ub_nbd_change *ub_nbd_resend_next(struct ub_nbd_resend *r);
/* @cookie: of the head that it was sent with. Return: whether it was under way. */
bool ub_nbd_resend_answered(struct ub_nbd_resend *r, uint64_t cookie);
/* Was everything sent, and answered? */
bool ub_nbd_resend_is_over(const struct ub_nbd_resend *r);
