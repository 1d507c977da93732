/* SPDX-License-Identifier: MIT */
/* Targets as a user names them. */
#pragma once

#include "base/error.h"
#include "spec/spec.h"
#include "target/target.h"

/* Return: the target of that name, or NULL with a message of stage UB_STAGE_USAGE. */
const struct ub_target *ub_target_choose(const char *name, struct ub_error *err);

/* The same for a specification, which gets the target's options. Return: 0, -EINVAL, -ENOMEM. */
int ub_target_choose_for(struct ub_spec *spec, const char *name, struct ub_error *err);
