/* SPDX-License-Identifier: MIT */
/*
 * What a device's data lies on, and what it is known again by. A path is no identity (links turn, files
 * move), nor is an inode number alone (a new file gets an old one) or a disk's (a new one gets it).
 * Knows neither how a backing is found nor what is served.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ub_backing {
	char *path; /* absolute, as the user named it; owned */
	char *real; /* where it lies, without links; owned; NULL: nowhere (unlinked), or not known */
	uint64_t dev;  /* of the file system; st_dev */
	uint64_t ino;  /* st_ino */
	uint64_t rdev; /* of a block device, else 0 */
	uint64_t size; /* of the whole file or block device when it was opened, bytes */
	uint64_t offset,
		length; /* what of it is served, bytes; length 0: not known, so all of it */
	bool writable;  /* it is served for writing */
	/* Of a file. */
	char *handle; /* "TYPE:HEX" by name_to_handle_at(), with the inode's generation; owned; NULL: none */
	bool handle_opens; /* open_by_handle_at() takes it */
	bool unsteady;     /* its file system invents inode numbers and handles as it goes */
	uint64_t born_ns;  /* since 1970; 0: the file system does not keep it */
	uint64_t fsid;     /* f_fsid; 0: none */
	/* Of a block device. */
	uint64_t diskseq; /* of the disk, never given twice while the kernel runs; 0: not known */
	char *disk_id; /* a name of its own (device mapper's UUID, WWID), and the partition; owned; or NULL */
};

#define UB_BACKINGS_MAX 4

/* What one device lies on: those of its target, in the order in which that opens them. What is not there is
 * all zero. */
struct ub_backings {
	uint32_t count;
	struct ub_backing at[UB_BACKINGS_MAX];
};

/* The best of a backing's marks, from the worst on; firm from UB_BY_BIRTH on. */
enum ub_known_by { UB_BY_PATH, UB_BY_NUMBER, UB_BY_BIRTH, UB_BY_HANDLE, UB_BY_DISK };

extern const char *const ub_known_by_names[]; /* "path", "number", "birth", "handle", "disk" */

enum ub_known_by ub_backing_known_by(const struct ub_backing *b);

/*
 * Fills in what @fd (may be O_PATH) is known again by: all but path, size, and what is served.
 * Frees what @b had of it. Return: 0 or a negative errno.
 */
int ub_backing_identify(int fd, struct ub_backing *b);

/*
 * Is the one what the other is, whatever their paths? Where a file system keeps nothing firm of its files,
 * those are taken for the same that lie at the same place, without links.
 */
bool ub_backing_is_same(const struct ub_backing *a, const struct ub_backing *b);

/* Does what is served of the one touch what is served of the other? Of the same backing. */
bool ub_backing_overlaps(const struct ub_backing *a, const struct ub_backing *b);

/* "inode 12 on 8:1, born 2026-11-26 01:02:03.500", or "disk 7:0 with sequence number 25". */
const char *ub_backing_describe(const struct ub_backing *b, char *buf, size_t size);

/* Free and zero. */
void ub_backing_done(struct ub_backing *b);
void ub_backings_done(struct ub_backings *backings);
