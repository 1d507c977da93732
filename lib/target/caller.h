/* SPDX-License-Identifier: MIT */
/*
 * What a path means to the process that names it and to no other: where it begins, if it is no
 * absolute one, and its own descriptors (/dev/fd/3, /dev/stdin, a link to them). A server inherits
 * such a one under a path of ours.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct ub_caller {
	int fd; /* what a server has to inherit, for the path to mean the same; -1: nothing */
	bool nameless; /* the file has no name any more: no other server will find it */
};

/*
 * In the caller's process: makes of a @path that names a descriptor one that means the same in a
 * program that inherits ret_caller->fd, which is left open over exec(), and any other one absolute.
 * Return: 0, or a negative errno with a message (no such descriptor, or not of a file).
 */
int ub_caller_file(char **path, struct ub_caller *ret_caller, struct ub_error *err);

/* Is it a path as ub_caller_file() makes them of descriptors? */
bool ub_caller_is_descriptor(const char *path);

/* What such a path leads to, by name. Return: a path to be freed, or NULL with errno. */
char *ub_caller_name(const char *path);
