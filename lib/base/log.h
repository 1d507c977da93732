/* SPDX-License-Identifier: MIT */
/*
 * The log of what serves, or restarts servers: the journal, a file, or standard error. Written by the
 * main thread alone, and not waited for where that can be helped: a log that can't take a line loses it,
 * since it may lie on the very device that is served. A file's write can still block that thread, never
 * the queues.
 */
#pragma once

#include <stdbool.h>

/* How much of it: each level has those before it. */
enum ub_log_level { UB_LOG_ERR, UB_LOG_WARNING, UB_LOG_NOTICE, UB_LOG_INFO };
extern const char *const ub_log_levels[]; /* by enum ub_log_level, NULL-terminated */

enum ub_log_kind { UB_LOG_JOURNAL, UB_LOG_FILE, UB_LOG_STDERR };

struct ub_log {
	enum ub_log_kind kind;
	int level;  /* enum ub_log_level: lines above it are left out */
	char *path; /* of a file, or NULL; borrowed */
	char *own;  /* where that is, if it was moved */
	int fd;
	const char *program; /* its name in each line */
	char name[32];       /* "ublkb3", once it is known */
};

/* The journal, or with @foreground standard error; all of it. */
void ub_log_init(struct ub_log *log, const char *program, bool foreground);
/* Goes on in a file, which is opened again when it was rotated. If that fails it goes on where it was,
 * and still tries the file when it is opened again. Return: 0 or a negative errno. */
int ub_log_open(struct ub_log *log, char *path);
/* Opens the file again, if there is one; goes on with the old one if that fails. */
void ub_log_reopen(struct ub_log *log);
/* The directory that is needed to open it again: the file's, or that of the journal's socket where
 * this is not in /dev itself. Return: a path to be freed, or NULL: none. */
char *ub_log_dir(struct ub_log *log);
/* Of the journal: the directory that /dev/log leads to, where that is another one. Return: as above. */
char *ub_log_journal_dir(void);
/* From now on the file is that in @dir; @tail: the rest of its path, from a slash on. */
void ub_log_move(struct ub_log *log, const char *tail, const char *dir);
void ub_log_close(struct ub_log *log);

/* @priority: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO of syslog.h. */
void ub_log(struct ub_log *log, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
