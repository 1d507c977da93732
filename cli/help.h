/* SPDX-License-Identifier: MIT */
/* The help: one generator out of the tables that the parser uses. */
#pragma once

#include <stdio.h>

#include "command.h"

/* One command's help: its synopsis, and the options of all @sets that count. */
void ub_help_command(FILE *file, const struct ub_command *command, const struct ub_optset *sets,
		     size_t nr_sets);

/* The program's help: all commands. */
void ub_help_program(FILE *file, const struct ub_command *const *commands);

/* The same in few lines, for a call without arguments. */
void ub_help_usage(FILE *file, const struct ub_command *const *commands);
