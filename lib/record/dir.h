/* SPDX-License-Identifier: MIT */
/*
 * The directory of the records: opened without following links, believed only if nobody but its
 * owner can write there. Knows nothing of what is in the files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define UB_RECORD_NAME_SIZE 32

/*
 * The directory where this process's user writes records: "/run/ublk" for root, for others
 * "$XDG_RUNTIME_DIR/ublk" or else "/run/user/UID/ublk", or "/tmp/ublk-UID" where there is no such
 * directory, as he is not logged in. UBLK_RUNTIME_DIR overrides it (tests, containers), if it is an
 * absolute path and the program runs with no more rights than its caller (secure_getenv): sudo
 * drops it, so root gets only what root has set. Whatever it is, it is used only while it belongs
 * to this user or root and nobody else may write there.
 * Return: @buf, or NULL when it is too small.
 */
const char *ub_record_dir(char *buf, size_t size);

/* Keeps this process to the directory that it has now, whether its user logs in or out later.
 * Return: 0 or a negative errno. */
int ub_record_dir_settle(void);

/* Opens the directory; @make: creates it if it is missing. Return: a descriptor, -ENOENT, -EPERM
 * (not safe), or another negative errno. */
int ub_record_dir_open(bool make, struct ub_error *err);

/*
 * Opens one of the directories where this user's records may be: 0 is where he writes now, 1 where
 * he has written while he was not logged in. Return: as above; -ENOENT also if it is the same.
 */
#define UB_RECORD_PLACES 2
int ub_record_dir_open_place(unsigned place, struct ub_error *err);

/* Opens a directory in it, with the same suspicion. Return: as above. */
int ub_record_dir_open_at(int dirfd, const char *name, struct ub_error *err);

/*
 * Keeps other writers and removers out of the directory for as long as the descriptor is open. One
 * who waits too long for somebody who hangs gets none (-1) and does without: the lock only closes
 * the gap between reading a token and removing the file.
 */
int ub_record_dir_lock(int dirfd);

/* "3.json". */
const char *ub_record_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE]);

/* "3.sock": where the server of the device is spoken with. */
const char *ub_record_socket_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE]);

/* "3.stats": where it counts. */
const char *ub_record_stats_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE]);

/* The socket's whole path in the directory of this process. Return: a path to be freed, or NULL. */
char *ub_record_socket_path(uint32_t id);
