/* SPDX-License-Identifier: MIT */
/*
 * The why of a failure. Functions return zero or a positive value on success and a negative errno
 * on failure; the sentence for the user travels in a caller-owned struct ub_error, which needs no
 * allocation. This file knows nobody, and prints nothing.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

/* The step of a command that failed: together with the errno it keys the hints of the CLI. */
enum ub_stage {
	UB_STAGE_NONE,
	UB_STAGE_USAGE,   /* what the user asked for makes no sense */
	UB_STAGE_CONTROL, /* opening /dev/ublk-control, features */
	UB_STAGE_LOOKUP,  /* finding a device */
	UB_STAGE_BACKING, /* opening and probing what the target serves */
	UB_STAGE_LOCK,    /* the lock on the backing */
	UB_STAGE_LAYER,   /* opening what stands over the target */
	UB_STAGE_CONNECT, /* reaching a server that a target is a client of */
	UB_STAGE_PLAN,    /* limits, before anything is made */
	UB_STAGE_SPAWN,   /* starting the server process */
	UB_STAGE_ADD,
	UB_STAGE_PARAMS,
	UB_STAGE_CHAR, /* opening /dev/ublkcN */
	UB_STAGE_MAP,  /* mapping the descriptors */
	UB_STAGE_MEMORY,
	UB_STAGE_RING,
	UB_STAGE_THREAD,
	UB_STAGE_FETCH,
	UB_STAGE_RECORD,
	UB_STAGE_START,
	UB_STAGE_NODE, /* waiting for /dev/ublkbN */
	UB_STAGE_STOP,
	UB_STAGE_DEL,
	UB_STAGE_RECOVER,
	UB_STAGE_RESIZE,
	UB_STAGE_SET,
	UB_STAGE_QUIESCE,
	UB_STAGE_UPGRADE,
	UB_STAGE_SERVER, /* the server died without a word */
	UB_STAGE_OUTPUT, /* writing to standard output */
	UB_STAGE_CONFIG, /* reading a configuration file */
	UB_STAGE_COUNT,
};

struct ub_error {
	int code; /* negative errno, 0 when there is no error */
	enum ub_stage stage;
	char msg[600]; /* one line, lower case, the verb first, no full stop */
};

/**
 * ub_fail - note why something failed
 * @err: where to; may be NULL
 * @stage: the step that failed
 * @code: negative errno
 * @fmt: what could not be done, without the errno's text
 *
 * The message becomes "FMT: strerror(code)".
 *
 * Return: @code, so that a caller can write `return ub_fail(...)`.
 */
int ub_fail(struct ub_error *err, enum ub_stage stage, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same without the errno's text, for a message that says more than the errno does. */
int ub_fail_text(struct ub_error *err, enum ub_stage stage, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What the user asked for can't be. Return: -EINVAL. */
#define ub_fail_usage(err, ...) ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, __VA_ARGS__)

/* Adds to the message that is there. Does nothing without an error. */
void ub_error_add(struct ub_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put context before the message that is there: "CONTEXT: MSG". Does nothing without an error. */
void ub_error_prefix(struct ub_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A stage's name in JSON, such as "backing". */
const char *ub_stage_name(enum ub_stage stage);

/* The symbolic name of an errno ("EBUSY"), or "E<number>" for one that libc does not know. */
const char *ub_errno_name(int code, char buf[static 16]);
