/* SPDX-License-Identifier: MIT */
/* A specification, from what was typed or read to what a server can be started for. */
#pragma once

#include "base/error.h"
#include "spec/spec.h"

/*
 * Makes the paths absolute, takes what is named by a descriptor of this process (spec->caller_fd), and
 * checks the whole; whatever the caller's user has no right to is refused.
 * Return: 0 or a negative errno with a message, which names the configuration file if there is one.
 */
int ub_prepare(struct ub_spec *spec, struct ub_error *err);

/* The part of it that is about the target: where its path begins, and what it names by a descriptor, is
 * this process's affair. Return: as above. */
int ub_prepare_target(struct ub_spec *spec, struct ub_error *err);

/* Makes the path of the log file absolute: the server runs in another directory. Return: as above. */
int ub_prepare_log_file(struct ub_spec *spec, struct ub_error *err);

/* The folder without links, and the last part of @path as it is. Return: a path to be freed, or NULL
 * with errno. */
char *ub_prepare_config(const char *path);
