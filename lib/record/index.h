/* SPDX-License-Identifier: MIT */
/*
 * Which devices have a backing or a name, told without reading every record: in the directory of
 * the records, .index/KEY/N is an empty file for each of the two that device N has. KEY is "name-NAME", or
 * what is steady of the backing: "file-DEV-INO", "handle-HASH" (where DEV is given at each mount), "path-HASH"
 * (where nothing else is steady), "block-RDEV" or "disk-HASH" (a block device has as many nodes as one likes).
 *
 * An entry only says where to look; what counts is the record. It is made before the record and
 * goes after it, so that a record that is there is found; one that a crash left over is harmless.
 */
#pragma once

#include "record/record.h"

#define UB_INDEX_KEY_SIZE 128

/* Return: @buf, or NULL where no record can have such an entry. */
const char *ub_index_backing_key(const struct ub_backing *backing,
				 char buf[static UB_INDEX_KEY_SIZE]);
const char *ub_index_name_key(const char *name, char buf[static UB_INDEX_KEY_SIZE]);

/* Makes the entries of @record that are missing. Return: 0 or a negative errno with a message. */
int ub_index_add(int dirfd, const struct ub_record *record, struct ub_error *err);

/* Removes those that are there. */
void ub_index_remove(int dirfd, const struct ub_record *record);

/*
 * Calls @visit for every device that has an entry under @key, until it returns other than 0.
 * Return: what it returned last, 0 when there is none, or a negative errno.
 */
int ub_index_visit(int dirfd, const char *key, int (*visit)(void *arg, uint32_t id), void *arg);

/*
 * Keeps everybody else from taking @key in the same way, as long as the descriptor is open: two who
 * look for a name that nobody has, and then make an entry for it, would both get it.
 * Return: a descriptor, -EAGAIN, or another negative errno; the last ones with a message.
 */
int ub_index_lock(int dirfd, const char *key, struct ub_error *err);

/* Removes what ub_index_lock() made, if there is no entry; before the descriptor is closed. */
void ub_index_unlock(int dirfd, const char *key);
