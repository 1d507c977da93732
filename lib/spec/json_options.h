/* SPDX-License-Identifier: MIT */
/* Options to JSON and back, by their tables. */
#pragma once

#include <stdbool.h>

#include "base/opt.h"
#include "spec/json_in.h"

#define UB_OPT_KEY_SIZE 64

/* An option's key: its name with '_' for '-'. */
const char *ub_opt_key(const struct ub_opt *opt, char buf[static UB_OPT_KEY_SIZE]);

/* Adds @options' values in @args to @obj; @transient: also those of one call. Return: false without
 * memory. */
bool ub_json_add_options(struct json_object *obj, const struct ub_opt *options, const void *args,
			 bool transient);

/* What of @options is in @obj, into @args, which holds the defaults; one that is required has to be
 * there. Return: 0, -EBADMSG, -ENOMEM. */
int ub_json_read_options(const struct ub_json_in *p, struct json_object *obj,
			 const struct ub_opt *options, void *args);
