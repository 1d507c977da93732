/* SPDX-License-Identifier: MIT */
#include "help.h"

#include <string.h>

#include "value.h"

#define HELP_COLUMN 30

/* "  LEFT", and RIGHT from its column on; on a line of its own where LEFT is too long. */
static void put_row(FILE *file, const char *left, const char *right)
{
	int len = fprintf(file, "  %s", left);

	if (len + 2 > HELP_COLUMN) {
		(void)fputc('\n', file);
		len = 0;
	}
	(void)fprintf(file, "%*s%s\n", HELP_COLUMN - len, "", right);
}

static void put_option(FILE *file, const struct ub_opt *opt)
{
	char usage[160], left[176], right[160];

	ub_opt_usage(opt, usage, sizeof(usage));
	if (opt->letter)
		(void)snprintf(left, sizeof(left), "-%c, %s", opt->letter, usage);
	else
		(void)snprintf(left, sizeof(left), "    %s", usage);
	(void)snprintf(right, sizeof(right), "%s%s", opt->help, opt->required ? " (needed)" : "");
	put_row(file, left, right);
}

static void put_set(FILE *file, const struct ub_optset *set)
{
	const struct ub_opt *opt = set->options;

	if (!opt->name)
		return;
	if (set->title)
		(void)fprintf(file, "\n%s:\n", set->title);
	for (; opt->name; opt++)
		put_option(file, opt);
}

static void put_column(const struct ub_field *field, void *arg)
{
	put_row(arg, field->column, field->help);
}

static bool takes_columns(const struct ub_command *command)
{
	for (const struct ub_opt *opt = command->options; opt->name; opt++)
		if (strcmp(opt->name, "columns") == 0)
			return true;
	return false;
}

void ub_help_command(FILE *file, const struct ub_command *command, const struct ub_optset *sets,
		     size_t nr_sets)
{
	(void)fprintf(file, "Usage: ublk %s%s%s\n\n%s", command->name,
		      *command->synopsis ? " " : "", command->synopsis, command->about);
	for (size_t i = 0; i < nr_sets; i++)
		put_set(file, &sets[i]);
	if (!command->fields)
		return;
	(void)fprintf(file, "\nColumns for %s:\n", takes_columns(command) ? "-o" : "--sort");
	ub_field_each_column(command->fields, put_column, file);
}

static void put_commands(FILE *file, const struct ub_command *const *commands)
{
	for (const struct ub_command *const *command = commands; *command; command++)
		if (!(*command)->hidden)
			put_row(file, (*command)->name, (*command)->summary);
}

void ub_help_program(FILE *file, const struct ub_command *const *commands)
{
	(void)fputs("Usage: ublk COMMAND [OPTIONS] [DEV...]\n\n"
		    "Make and manage block devices that are served by processes.\n\n"
		    "Commands:\n",
		    file);
	put_commands(file, commands);
	(void)fputs("\nDEV is 3, ublkb3, /dev/ublkb3, /dev/ublkc3 or the device's name.\n"
		    "\n"
		    "Exit status:\n"
		    "  0 done, 1 failed, 2 wrong usage, 3 not permitted, 4 no such device,\n"
		    "  5 busy or exists already, 6 driver or feature missing, 7 timed out\n"
		    "\n"
		    "See 'ublk COMMAND --help' for a command's options.\n",
		    file);
}

void ub_help_usage(FILE *file, const struct ub_command *const *commands)
{
	(void)fputs("Usage: ublk COMMAND [OPTIONS] [DEV...]\n\nCommands:\n", file);
	put_commands(file, commands);
	(void)fputs("\nSee 'ublk help' or 'ublk COMMAND --help'.\n", file);
}
