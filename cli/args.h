/* SPDX-License-Identifier: MIT */
/*
 * The parser: turns a command's arguments into values by option tables, and says what is wrong
 * with them. It knows tables, but no command, and prints nothing.
 *
 * It works in two steps, since which tables count may depend on an option's value (`add -t loop`):
 * ub_args_scan() takes the arguments apart with all tables that might count, ub_args_apply() stores
 * values with those that do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/opt.h"

/* An option table and the struct that it fills. */
struct ub_optset {
	const char *title; /* in the help */
	const struct ub_opt *options;
	void *values;      /* NULL: known, but not to be used in this call */
	const char *owner; /* whose the options are, as in "target loop"; NULL: the command's */
	/* What is said of one that was typed: the table is there only for that, and @values NULL. */
	int (*refuse)(const struct ub_opt *opt, struct ub_error *err);
};

struct ub_arg {
	const char *name; /* as typed, without dashes; not NUL-terminated; NULL: a letter */
	size_t name_len;
	char letter;
	const char *value; /* NULL: none */
};

struct ub_args {
	struct ub_arg *list; /* options, in their order */
	size_t count;
	const char **operands; /* all else; borrowed from argv */
	size_t nr_operands;
};

/**
 * ub_args_scan - take arguments apart
 * @argv: NULL-terminated, without the command's name; borrowed as long as @ret_args lives
 * @sets: all tables that might count; an option that several have takes a value in all or in none
 * @operands_last: what follows the first operand is operands too, options or not
 *
 * After an error it goes on as well as it can, so that @ret_args tells whether --json was asked.
 *
 * Return: 0, -EINVAL with a message of stage UB_STAGE_USAGE, -ENOMEM.
 */
int ub_args_scan(const char *const argv[], const struct ub_optset *sets, size_t nr_sets,
		 bool operands_last, struct ub_args *ret_args, struct ub_error *err);
void ub_args_done(struct ub_args *args);

/* The first of the options with this long name, or NULL. */
const struct ub_arg *ub_args_find(const struct ub_args *args, const struct ub_opt *opt);

/*
 * Checks what is required, duplicate or contradictory, and stores values.
 * Return: 0, -EINVAL with a message of stage UB_STAGE_USAGE, -ENOMEM.
 */
int ub_args_apply(const struct ub_args *args, const struct ub_optset *sets, size_t nr_sets,
		  struct ub_error *err);
