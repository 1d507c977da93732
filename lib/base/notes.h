/* SPDX-License-Identifier: MIT */
/*
 * What the user shall know although nothing failed: a fall-back that was taken, a size that was
 * rounded, a request that the kernel granted in part. Collected by whoever finds out, kept in the
 * record, printed by the CLI alone.
 */
#pragma once

#define UB_NOTES_MAX 8
#define UB_NOTE_SIZE 200

struct ub_notes {
	unsigned count;
	char text[UB_NOTES_MAX][UB_NOTE_SIZE]; /* one line each: lower case, no full stop */
};

/* Adds a note; one over the maximum replaces the last, which then says that more were dropped. */
void ub_note(struct ub_notes *notes, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, unless it is there. */
void ub_note_once(struct ub_notes *notes, const char *text);
