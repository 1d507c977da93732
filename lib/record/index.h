/* SPDX-License-Identifier: MIT */
/*
 * Which devices have a backing or a name, told without reading every record: in the directory of
 * the records, .index/KEY/N is an empty file for each that device N has. KEY is "name-NAME", or one
 * by which a backing may be known again (ub_backing_is_same()), of which a record has all that it
 * can: two that are the same have one in common, though one be an older version's.
 *
 *   file-DEV-INO, block-RDEV   the kernel's numbers (a block device has as many nodes as one likes)
 *   handle-HASH, disk-HASH     what stays when those change
 *   born-NS, path-HASH         of a file on a file system that invents numbers and handles
 *
 * An entry only says where to look; what counts is the record. It is made before the record and
 * goes after it, so that a record that is there is found; one that a crash left over is harmless.
 */
#pragma once

#include "record/record.h"

#define UB_INDEX_KEY_SIZE 128
/* Whatever a record may say: five of a backing, and the name. */
#define UB_INDEX_KEYS_MAX (5 * UB_BACKINGS_MAX + 1)

struct ub_index_keys {
	unsigned count;
	char key[UB_INDEX_KEYS_MAX][UB_INDEX_KEY_SIZE];
};

/* Adds those of one backing to @keys. */
void ub_index_backing_keys(const struct ub_backing *backing, struct ub_index_keys *keys);

/* Return: @buf, or NULL where no record can have such an entry. */
const char *ub_index_name_key(const char *name, char buf[static UB_INDEX_KEY_SIZE]);

/* Makes the entries of @record that are missing. Return: 0 or a negative errno with a message. */
int ub_index_add(int dirfd, const struct ub_record *record, struct ub_error *err);

/* Removes those that are there, but for those that @keep has too (NULL: none). */
void ub_index_remove(int dirfd, const struct ub_record *record, const struct ub_record *keep);

/*
 * Calls @visit for every device that has an entry under @key, until it returns other than 0.
 * Return: what it returned last, 0 when there is none, or a negative errno.
 */
int ub_index_visit(int dirfd, const char *key, int (*visit)(void *arg, uint32_t id), void *arg);

/*
 * Keeps everybody else from taking @key in the same way, as long as the descriptor is open: two who
 * look for a name that nobody has, and then make an entry for it, would both get it.
 * Return: a descriptor, -EAGAIN without a message, or another negative errno with one.
 */
int ub_index_lock(int dirfd, const char *key, struct ub_error *err);

/* Removes what ub_index_lock() made, if there is no entry; before the descriptor is closed. */
void ub_index_unlock(int dirfd, const char *key);

/* Calls @visit for every entry of every key, whether its device is there or not. Return: 0, also
 * without an index, or a negative errno: it, or a part of it, could not be read. */
int ub_index_visit_all(int dirfd, void (*visit)(void *arg, const char *key, uint32_t id),
		       void *arg);
