/* SPDX-License-Identifier: MIT */
/* Whether a specification makes sense: ranges, names, and what excludes what. Asks nobody. */
#pragma once

#include "spec/spec.h"

/*
 * Checks what can be checked without a system call (ranges, combinations, names), and replaces
 * UB_RECOVERY_DEFAULT by what the target can.
 * Return: 0, or -EINVAL with a message of stage UB_STAGE_USAGE.
 */
int ub_spec_check(struct ub_spec *spec, struct ub_error *err);

/* A name must stand in a path and a log line, and must not be taken for a device's number.
 * Return: 0, or -EINVAL as above. */
int ub_spec_check_name(const char *name, struct ub_error *err);
