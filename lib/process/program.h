/* SPDX-License-Identifier: MIT */
/* Where our programs are. */
#pragma once

#include <limits.h>

#include "base/error.h"

#define UB_SERVER_NAME "ublk-server"

/* Is /proc there? Without it neither programs nor what is behind a descriptor can be found, and the
 * errors would be of those. Return: 0, or -ENOENT with a message. */
int ub_program_check_proc(struct ub_error *err);

/* The server beside this very program (a build folder), or where it is installed. Return: 0 or a
 * negative errno. */
int ub_program_find_server(char ret_path[static PATH_MAX]);

/* This very program, as a path. Return: 0 or a negative errno: it is not there any more. */
int ub_program_find_own(char ret_path[static PATH_MAX]);

/* What a server is to be called in its command line: its name, behind an @ where this program's own
 * has one, or where it runs from an initial RAM file system. systemd spares root's processes of such
 * a name when it ends all others, which what serves the root file system must outlive. */
const char *ub_program_server_name(void);

/* Opens the server's program for reading. Return: a descriptor to be closed, or a negative errno. */
int ub_program_open_server(void);
