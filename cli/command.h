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
struct ublksrv_ctrl_dev_info;

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
	const struct ub_field *fields; /* whose columns -o, or --sort, takes; NULL: none */
	size_t args_size;              /* of the struct that the options fill; zeroed first */
	size_t max_operands;
	const char *completer; /* of operands: one of ub_completers (completers.h) */
	/* Of completions: can it do anything about such a device? NULL: about all. */
	bool (*suits)(const struct ublksrv_ctrl_dev_info *info);
	bool json;                    /* takes --json */
	bool hidden;                  /* for programs: neither in the help nor suggested */
	bool operands_last;           /* what follows the first operand is not for us */
	const char *line_schema;      /* of an object of its result, which --json=lines prints;
				       * NULL: the result is one document */
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

/* An option of the program itself, in place of a command. */
struct ub_alias {
	const char *option;
	char letter;
	const char *command;
};
extern const struct ub_alias ub_aliases[]; /* ends with one that is all NULL */

/* What is typed in a command's place, its name or an alias. Return: the command, or NULL. */
const struct ub_command *ub_command_typed(const struct ub_command *const *commands,
					  const char *word);

/* The options that the machinery itself answers to. */
struct ub_common_args {
	int json; /* the form of it: an index into the option's choices */
	bool help;
};

/* What was typed after a command's name, and the option tables by which it is read. */
struct ub_parse {
	struct ub_call *call;
	struct ub_common_args common;
	struct ub_args typed;
	struct ub_optset sets[UB_OPTSETS_MAX];
	size_t nr_sets;
};

/* Makes the struct that the options of call->command fill. Return: 0 or -ENOMEM. */
int ub_parse_open(struct ub_parse *parse);
void ub_parse_close(struct ub_parse *parse);

/*
 * Collects the tables that count when ub_parse.typed was typed: in a call that is to be read, once
 * before that is known and once after.
 * Return: 0, or a negative errno with a message; the command's own tables are there all the same.
 */
int ub_parse_tables(struct ub_parse *parse, struct ub_error *err);

/* Return: the option that was typed and leaves no place for operands, or NULL. */
const struct ub_opt *ub_parse_excludes_operands(const struct ub_parse *parse);

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
