/* SPDX-License-Identifier: MIT */
/* Where our programs are. */
#pragma once

#include <limits.h>

#include "base/error.h"

#define UB_SERVER_NAME "ublk-server"

/* Is /proc there? Without it neither programs nor what is behind a descriptor can be found, and the
 * errors would be of those. Return: 0, or -ENOENT with a message. */
int ub_program_check_proc(struct ub_error *err);

/* One of ours, by @name (NULL: UB_SERVER_NAME), beside this very program (a build folder), or where it is
 * installed. Return: 0, or a negative errno with the place where it is to be installed in @ret_path. */
int ub_program_find(const char *name, char ret_path[static PATH_MAX]);

/* This very program, as a path. Return: 0 or a negative errno: it is not there any more. */
int ub_program_find_own(char ret_path[static PATH_MAX]);

/* What a server is to be called in its command line: its name, behind an @ where this program's own
 * has one, or where it runs from an initial RAM file system. systemd spares root's processes of such
 * a name when it ends all others, which what serves the root file system must outlive. */
const char *ub_program_server_name(void);

/* Opens it for reading. Return: a descriptor to be closed, or a negative errno. */
int ub_program_open_server(const char *name);

/*
 * What a server runs in processes of their own, wherever it has gone: itself, as a path. One whose
 * libraries are not found everywhere is to keep UB_SERVER_NAME for that, which needs none, while it still
 * finds it. Return: 0 or a negative errno.
 */
int ub_program_keep_static(void);
const char *ub_program_again(void);
