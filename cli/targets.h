/* SPDX-License-Identifier: MIT */
/* Targets as a user names them. */
#pragma once

#include "base/error.h"
#include "target/target.h"

/* Return: the target of that name, or NULL with a message of stage UB_STAGE_USAGE. */
const struct ub_target *ub_target_choose(const char *name, struct ub_error *err);
