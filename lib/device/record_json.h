/* SPDX-License-Identifier: MIT */
/*
 * What the two directions of a record's JSON share. Strings are bytes as they are: a path need not
 * be UTF-8, and json-c passes through what is not. Internal to record*.c.
 */
#pragma once

#include "base/opt.h"

#define UB_RECORD_TEXT_MAX ((size_t)1 << 20)
#define UB_OPT_KEY_SIZE 64

/* An option's key: its name with '_' for '-'. */
const char *ub_opt_key(const struct ub_opt *opt, char buf[static UB_OPT_KEY_SIZE]);
