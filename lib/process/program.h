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

/* Opens the server's program for reading. Return: a descriptor to be closed, or a negative errno. */
int ub_program_open_server(void);
