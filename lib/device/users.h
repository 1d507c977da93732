/* SPDX-License-Identifier: MIT */
/* Who uses a block device: mounts, swap, devices above it, processes that have it open. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ub_user_kind {
	UB_USER_MOUNT,
	UB_USER_SWAP,
	UB_USER_HOLDER, /* a device above: device mapper, md, bcache, ...; or what exports it */
	UB_USER_OPENER, /* a process */
	UB_USER_CLAIM,  /* claimed exclusively, by somebody who could not be found */
	UB_USER_UNSEEN, /* perhaps: those who may have it open can't all be seen */
};

struct ub_user {
	enum ub_user_kind kind;
	char device[32]; /* "ublkb0" or "ublkb0p1" */
	/* Mount point, holder's name, or command name; bytes as they are; with "..." where it was cut. */
	char what[256];
	int32_t pid;  /* of an opener */
	bool is_udev; /* an opener, which looks at every device after each change */
};

struct ub_users {
	struct ub_user *list;
	size_t count;
	bool hidden;    /* there are processes that can't be seen: another namespace's, say */
	bool forbidden; /* ... or seen, but not what they have open */
};

/*
 * Finds the users of /dev/ublkbN and its partitions, this process and @except left out. Opens
 * nothing of it, so it can't hang on a device whose server does not answer.
 * Return: 0 (count may be 0) or a negative errno. A device without a block node has none.
 */
int ub_users_find(uint32_t id, int32_t except, struct ub_users *ret_users);

/* The same of several devices with one look at everything: looking for who has a device open takes
 * long where many processes are. */
struct ub_users_query {
	uint32_t id;
	int32_t except[2]; /* processes that are no users of it; 0: none */
	struct ub_users users;
};
/* Return: 0, or a negative errno: then it is not known of any. */
int ub_users_find_some(struct ub_users_query *queries, size_t count);

/* Adds one, of "ublkb0" or "ublkb0p1". Return: 0 or -ENOMEM. */
int ub_users_add(struct ub_users *users, enum ub_user_kind kind, const char *device,
		 const char *what, int32_t pid);
void ub_users_done(struct ub_users *users);

/* Is its name all there? One that has been cut can't be typed. */
bool ub_user_is_whole(const struct ub_user *user);

/* "mounted on /mnt (ublkb0p1)", "open by fio (812)": one line, not escaped; UB_USER_TEXT_SIZE is room
 * for all of it. */
#define UB_USER_TEXT_SIZE 400
const char *ub_user_describe(const struct ub_user *user, char *buf, size_t size);
