/* SPDX-License-Identifier: MIT */
/*
 * One configuration file and the device that it is about: what is to be done, and doing it. Knows neither
 * the folder nor how it is told; prints nothing but a server's notes.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "device/device.h"
#include "record/record.h"

enum ub_apply_result {
	UB_APPLY_SKIPPED, /* a signal came before its turn, or there is no driver */
	UB_APPLY_FAILED,
	UB_APPLY_UNCHANGED,
	UB_APPLY_DIFFERS, /* the device lives, and is left as it is */
	UB_APPLY_ADDED,
	UB_APPLY_RECOVERED,
	UB_APPLY_REMOVED,
	UB_APPLY_WOULD_ADD,
	UB_APPLY_WOULD_RECOVER,
	UB_APPLY_WOULD_REMOVE,
};

struct ub_difference {
	char *key;
	char *configured, *actual; /* NULL: nothing */
};

struct ub_apply {
	char *config;            /* the file's path */
	char *name;              /* of the device; NULL: not known */
	struct ub_record record; /* only its spec counts: what the file says */
	enum ub_apply_result result;
	int id; /* of the device; -1: there is none */
	struct ub_difference *differences;
	size_t count;
	bool unread; /* nothing is known of what it says */
};

/* How it is to be done. */
struct ub_apply_how {
	bool dry_run;
	uint32_t timeout_s; /* for each device */
	int interrupt_fd;
};

/* Reads the file at @path, which the whole then knows. Return: 0 or a negative errno with a message. */
int ub_apply_read(const char *path, struct ub_apply *ret_apply, struct ub_error *err);

/*
 * Adds the device if there is none of its name, or recovers it if its server has died.
 * Return: 0, with a result; -EEXIST with a message: the device is there, and differs from the file; or
 * another negative errno with a message.
 */
int ub_apply_device(struct ub_ctrl *ctrl, const struct ub_apply_how *how, struct ub_apply *apply,
		    struct ub_error *err);

void ub_apply_done(struct ub_apply *apply);
