/* SPDX-License-Identifier: MIT */
/*
 * One record as a file: written whole or not at all, with room kept for the next time, and read
 * with suspicion. Knows nothing of what is in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define UB_RECORD_TEXT_MAX ((size_t)1 << 20)

/*
 * Puts the text in the place of N.json. What it may need the next time is kept beside it as
 * .N.spare, so that a full file system (of memory, where records are) loses no news of a device:
 * the next text goes in there, and what it replaces makes room for the next spare. The first time
 * there has to be room for both.
 * @alone: nobody else writes here meanwhile: only then is the spare taken
 * Return: 0 or a negative errno, what was there before still being there.
 */
int ub_record_file_write(int dirfd, uint32_t id, const char *text, bool alone);

/* Return: the length of the text, to be freed; -ENOENT; -EPERM (not safe to believe); -EBADMSG (too
 * large); or another negative errno; with a message. */
ssize_t ub_record_file_read(int dirfd, uint32_t id, char **ret_text, struct ub_error *err);

/* Removes it, its spare, the server's socket, what that has counted, and what killed writers left. Return: 0,
 * also when there is none, or a negative errno. */
int ub_record_file_remove(int dirfd, uint32_t id);

bool ub_record_file_is_there(int dirfd, uint32_t id);
