/* SPDX-License-Identifier: MIT */
/*
 * The records of this machine's devices as files: written beside and renamed, read with suspicion,
 * removed by their token, and looked for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "record/record.h"

/*
 * Writes the record so that a reader sees the old one or the new one, never a part: a file beside
 * it, renamed. Creates the directory (0755). Follows no links.
 */
int ub_record_write(const struct ub_record *record, struct ub_error *err);

/*
 * Reads the record of device @id with @token, wherever its server has written it. Nothing is
 * believed that does not belong to this user (or root) or that others may write.
 * Return: 0, -ENOENT (none, or another device's), -EBADMSG, -EPERM (not safe to believe), or
 * another negative errno.
 */
int ub_record_read(uint32_t id, uint64_t token, struct ub_record *ret_record, struct ub_error *err);

/* Removes the record of @id if its token is @token. Return: 0 also when there is none. */
int ub_record_remove(uint32_t id, uint64_t token);

/* Tells whether device @id exists with this token: a record of one that does not counts nothing. */
struct ub_record_alive {
	bool (*is_there)(void *arg, uint32_t id, uint64_t token);
	void *arg;
};

/*
 * Looks for a record one of whose backings is the same part of the same, where one of the two is served
 * for writing, its server dead or alive.
 * Return: 1 with @ret_id, 0, or a negative errno.
 */
int ub_record_find_claim(const struct ub_backing *backing, const struct ub_record_alive *alive,
			 uint32_t *ret_id);

/*
 * Takes a name for a device that is being added: nobody else gets it as long as the descriptor that
 * is returned is open, and when the record has been written, as long as there is that.
 * Return: the descriptor, for ub_record_release_name(); -EEXIST with @ret_id: that device has it;
 * -EAGAIN: another one is being added that is to have it; or another negative errno with a message.
 */
int ub_record_claim_name(const char *name, const struct ub_record_alive *alive, uint32_t *ret_id,
			 struct ub_error *err);

/* What only one process does at a time. */
enum ub_record_claim {
	UB_CLAIM_SIZE, /* changes the size of a device */
	UB_CLAIM_SERVER, /* ends the server of a device that is to be restarted, for good or for another one */
	UB_CLAIM_SET,     /* changes what can be changed of a device that is there */
	UB_CLAIM_STEADY,  /* stops a device, or keeps others from that (device/steady.h) */
	UB_CLAIM_RESTART, /* restarts devices (device/restart.h); of no device: 0 */
	UB_CLAIM_COUNT
};

/*
 * Keeps others from doing it with device @id, as long as the descriptor is open. Return: it, for
 * ub_record_release(); -EAGAIN: somebody does it now; or another negative errno with a message.
 */
int ub_record_claim(enum ub_record_claim what, uint32_t id, struct ub_error *err);
void ub_record_release(enum ub_record_claim what, uint32_t id, int *lock);

/* When the record has been written, or will not be. Takes -1. */
void ub_record_release_name(const char *name, int *lock);
