/* SPDX-License-Identifier: MIT */
/*
 * A configuration file's keys and a device's specification, by the very option tables of `ublk add`: a
 * key is a long option, `type` stands for -t. Options of one call are no keys, nor is --config.
 */
#pragma once

#include <stdio.h>

#include "args.h"
#include "base/error.h"
#include "config_file.h"
#include "spec/spec.h"

/*
 * Stores what the file says in @spec, but for options that were @typed (NULL: none) and count more. The
 * name is the file's, if it gives none.
 * Return: 0, -EINVAL with a message of UB_STAGE_CONFIG, -ENOMEM.
 */
int ub_config_store(const struct ub_config_file *file, const struct ub_args *typed,
		    struct ub_spec *spec, struct ub_error *err);

/* Writes a device's specification, as its record keeps it, as such a file: what is not as it is by
 * default. Return: 0 or -ENOMEM; writing is checked later. */
int ub_config_print(FILE *file, const struct ub_spec *spec);
