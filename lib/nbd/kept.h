/* SPDX-License-Identifier: MIT */
/*
 * What a server has said it has done and may still lose: changes in their order, with what was written, in a ring of
 * a fixed size, so that they can be asked for again after the server has died. As NFS clients do it with writes
 * that are not committed (RFC 8881, 18.32). Arithmetic and copies alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nbd/wire.h"

/* One change. What was written lies behind it. */
struct ub_nbd_change {
	uint64_t number; /* its place among all changes */
	uint64_t offset; /* bytes */
	uint32_t len;
	uint16_t command, flags;     /* NBD_CMD_* */
	uint32_t stored;             /* bytes from it to the next one */
	char head[NBD_REQUEST_SIZE]; /* for whoever sends it again */
};

/* Bytes of the ring that a change takes beside its data, which is rounded up to as many. */
#define UB_NBD_CHANGE_SIZE 64U

struct ub_nbd_kept {
	char *ring;    /* borrowed; @size is a multiple of UB_NBD_CHANGE_SIZE */
	uint32_t size; /* bytes; 0: nothing can be kept */
	/* Places go up for ever, and round the ring: of the oldest change, and behind the newest one. */
	uint64_t from, to;
	struct ub_nbd_change *last;
	/* Of whoever sends it again (nbd/resend.h): the place of the next one, and another ring, or NULL. */
	uint64_t resend;
	struct ub_nbd_kept *beside;
};

static inline uint32_t ub_nbd_kept_used(const struct ub_nbd_kept *kept)
{
	return (uint32_t)(kept->to - kept->from);
}

/*
 * Looks for room for a change, newer than all that are kept, with so many bytes of data.
 * Return: where it is to be filled in, but for `stored`, with its data; NULL: there is none.
 */
struct ub_nbd_change *ub_nbd_kept_room(struct ub_nbd_kept *kept, uint32_t bytes);
/* It is kept from now on. */
void ub_nbd_keep(struct ub_nbd_kept *kept, struct ub_nbd_change *change);
/* Those with lower numbers are durable. */
void ub_nbd_kept_drop(struct ub_nbd_kept *kept, uint64_t number);
/* The change at a place, from `from` on; @place goes to the next one. Return: NULL: there is no other. */
struct ub_nbd_change *ub_nbd_kept_next(const struct ub_nbd_kept *kept, uint64_t *place);

static inline void *ub_nbd_change_data(struct ub_nbd_change *change)
{
	return (char *)change + UB_NBD_CHANGE_SIZE;
}
