/* SPDX-License-Identifier: MIT */
/*
 * What a command is, and the way from the program's arguments to its exit status. A new command is
 * one file cmd_NAME.c, one line in the table of commands.c, its man page and its tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "args.h"
#include "base/error.h"
#include "field.h"
#include "out.h"

#define UB_OPTSETS_MAX 16

struct ub_command;

/* One call of a command. */
struct ub_call {
	const struct ub_command *command;
	const struct ub_command *const *commands; /* all that there are: for help */
	void *args;                               /* what its options fill */
	const char *const *operands;
	size_t nr_operands;
	struct ub_out out;
};

struct ub_command {
	const char *name;
	const char *summary;  /* one line for `ublk help` */
	const char *synopsis; /* what follows the name */
	const char *about;    /* for its own help: lines that end in a newline */
	const struct ub_opt *options;
	const struct ub_field *fields; /* whose columns -o takes; NULL: it has no -o */
	size_t args_size;              /* of the struct that the options fill; zeroed first */
	size_t max_operands;
	const char *completer;        /* "device", "command": what completes one */
	bool json;                    /* takes --json */
	void (*defaults)(void *args); /* may be NULL */
	void (*done)(void *args);     /* frees more than the options' strings; may be NULL */
	/*
	 * Option tables beside the command's own, found by what has been typed: fills @ret_sets.
	 * May be NULL. Return: how many, or a negative errno with @err's message.
	 */
	int (*more)(void *args, const struct ub_args *typed, struct ub_optset *ret_sets,
		    struct ub_error *err);
	enum ub_exit (*run)(struct ub_call *call);
};

/* @commands: all of them, NULL-terminated. Return: the command of that name, or NULL. */
const struct ub_command *ub_command_find(const struct ub_command *const *commands,
					 const char *name);

/* Runs one of the commands with its arguments. Return: the exit status. */
enum ub_exit ub_command_run(const struct ub_command *const *commands,
			    const struct ub_command *command, const char *const argv[]);

/* Says that there is no such command, and which one was probably meant. Return: -EINVAL. */
int ub_command_unknown(const struct ub_command *const *commands, const char *name,
		       struct ub_error *err);

/* Tells an error of this call. Return: its exit status. */
enum ub_exit ub_call_fail(struct ub_call *call, const struct ub_error *err);

/* A usage error, told: what a command finds wrong that the tables cannot say. */
enum ub_exit ub_call_usage(struct ub_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The whole program but for what main() prepares. Return: the exit status. */
enum ub_exit ub_run(const struct ub_command *const *commands, const char *const argv[]);
