/* SPDX-License-Identifier: MIT */
/*
 * The server's log: the journal, a file, or standard error. Written by the main thread alone, and
 * not waited for where that can be helped: a log that can't take a line loses it, since it may lie
 * on the very device that the server serves. A file's write can still block that thread, never the
 * queues.
 */
#pragma once

#include "base/error.h"

enum ub_log_kind { UB_LOG_JOURNAL, UB_LOG_FILE, UB_LOG_STDERR };

struct ub_log {
	enum ub_log_kind kind;
	char *path; /* of a file; borrowed */
	int fd;
	char name[32]; /* "ublkb3", once it is known */
};

/* @path: of the log file, or NULL: the journal, or with @foreground standard error. */
int ub_log_open(struct ub_log *log, char *path, bool foreground, struct ub_error *err);
/* Opens the file again (it was rotated); goes on with the old one if that fails. */
void ub_log_reopen(struct ub_log *log);
void ub_log_close(struct ub_log *log);

/* @priority: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO of syslog.h. */
void ub_log(struct ub_log *log, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
