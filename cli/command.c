/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "spec/spec.h"
#include "help.h"
#include "text.h"

const struct ub_command *ub_command_find(const struct ub_command *const *commands, const char *name)
{
	for (const struct ub_command *const *command = commands; *command; command++) {
		if (strcmp((*command)->name, name) == 0)
			return *command;
	}
	return NULL;
}

/* The options that the machinery itself answers to. */
struct common {
	bool json, help;
};

static const struct ub_opt json_options[] = {
	{.name = "json",
	 .letter = 'j',
	 .type = UB_OPT_FLAG,
	 .offset = offsetof(struct common, json),
	 .help = "print JSON"},
	UB_OPT_END,
};

static const struct ub_opt help_options[] = {
	{.name = "help",
	 .letter = 'h',
	 .type = UB_OPT_FLAG,
	 .offset = offsetof(struct common, help),
	 .help = "print this help"},
	UB_OPT_END,
};

struct parse {
	struct ub_call *call;
	struct common common;
	struct ub_args typed;
	struct ub_optset sets[UB_OPTSETS_MAX];
	size_t nr_sets;
};

static void add_set(struct parse *parse, const char *title, const struct ub_opt *options,
		    void *values)
{
	parse->sets[parse->nr_sets++] =
		(struct ub_optset){.title = title, .options = options, .values = values};
}

/* The tables that count whatever was typed; @more() adds to them. */
static int collect_sets(struct parse *parse, struct ub_error *err)
{
	const struct ub_command *command = parse->call->command;
	const char *title = "Options";
	int ret = 0;

	parse->nr_sets = 0;
	if (command->options) {
		add_set(parse, title, command->options, parse->call->args);
		title = NULL;
	}
	if (command->json) {
		add_set(parse, title, json_options, &parse->common);
		title = NULL;
	}
	add_set(parse, title, help_options, &parse->common);
	if (command->more)
		ret = command->more(parse->call->args, &parse->typed, parse->sets + parse->nr_sets,
				    err);
	if (ret > 0)
		parse->nr_sets += (size_t)ret;
	return ret < 0 ? ret : 0;
}

static bool is_chosen(const struct ub_optset *set)
{
	return set->owner && set->values;
}

/* Once a target is chosen, the others' options are not helpful. */
static void print_help(struct parse *parse)
{
	struct ub_optset *to = parse->sets;
	bool any = false;

	for (size_t i = 0; i < parse->nr_sets; i++)
		any |= is_chosen(&parse->sets[i]);
	for (size_t i = 0; i < parse->nr_sets; i++) {
		if (!any || !parse->sets[i].owner || is_chosen(&parse->sets[i]))
			*to++ = parse->sets[i];
	}
	ub_help_command(parse->call->out.file, parse->call->command, parse->sets,
			(size_t)(to - parse->sets));
}

static int check_operands(const struct ub_call *call, struct ub_error *err)
{
	const struct ub_command *command = call->command;

	if (call->nr_operands > command->max_operands)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "unexpected argument '%s'",
				    call->operands[command->max_operands]);
	return 0;
}

/* Return: 0, or a negative errno; help that was asked for leaves the rest unread. */
static int parse_args(struct parse *parse, const char *const argv[], struct ub_error *err)
{
	struct ub_call *call = parse->call;
	int ret = collect_sets(parse, err);

	if (ret == 0)
		ret = ub_args_scan(argv, parse->sets, parse->nr_sets, &parse->typed, err);
	call->operands = parse->typed.operands;
	call->nr_operands = parse->typed.nr_operands;
	call->out.json = call->command->json && ub_args_find(&parse->typed, json_options);
	/* Again: now it can be seen what was chosen. */
	if (ret == 0 && call->command->more)
		ret = collect_sets(parse, err);
	if (ret < 0)
		return ret;
	parse->common.help = ub_args_find(&parse->typed, help_options);
	if (parse->common.help)
		return 0;
	ret = ub_args_apply(&parse->typed, parse->sets, parse->nr_sets, err);
	return ret ? ret : check_operands(call, err);
}

static int new_args(struct ub_call *call)
{
	const struct ub_command *command = call->command;

	call->args = calloc(1, command->args_size ? command->args_size : 1);
	if (!call->args)
		return -ENOMEM;
	if (command->defaults)
		command->defaults(call->args);
	return 0;
}

static void free_args(struct ub_call *call)
{
	if (!call->args)
		return;
	if (call->command->done)
		call->command->done(call->args);
	if (call->command->options)
		ub_opt_free_strings(call->command->options, call->args);
	free(call->args);
	call->args = NULL;
}

enum ub_exit ub_command_run(const struct ub_command *const *commands,
			    const struct ub_command *command, const char *const argv[])
{
	struct ub_call call = {.command = command, .commands = commands};
	struct parse parse = {.call = &call};
	struct ub_error err = {0};
	enum ub_exit status, written;
	int ret;

	ub_out_init(&call.out, stdout);
	ret = new_args(&call);
	if (ret)
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot run %s", command->name);
	else
		ret = parse_args(&parse, argv, &err);
	if (ret) {
		status = ub_call_fail(&call, &err);
	} else if (parse.common.help) {
		call.out.json = false;
		print_help(&parse);
		status = UB_EXIT_DONE;
	} else {
		status = command->run(&call);
	}
	written = ub_out_finish(&call.out);
	ub_args_done(&parse.typed);
	free_args(&call);
	ub_out_done(&call.out);
	return status ? status : written;
}

enum ub_exit ub_call_fail(struct ub_call *call, const struct ub_error *err)
{
	struct ub_error told = *err;

	if (told.stage == UB_STAGE_USAGE)
		ub_error_prefix(&told, "%s", call->command->name);
	return ub_out_fail(&call->out, &told, &(struct ub_facts){.verb = call->command->name});
}

enum ub_exit ub_call_usage(struct ub_call *call, const char *fmt, ...)
{
	struct ub_error err = {.code = -EINVAL, .stage = UB_STAGE_USAGE};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	return ub_call_fail(call, &err);
}

int ub_command_unknown(const struct ub_command *const *commands, const char *name,
		       struct ub_error *err)
{
	const char *what = name[0] == '-' ? "option" : "command";
	struct ub_guess guess;

	ub_guess_init(&guess, name);
	for (const struct ub_command *const *command = commands; *command; command++)
		ub_guess_offer(&guess, (*command)->name);
	if (guess.best)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL,
				    "unknown %s '%s': did you mean '%s'?", what, name, guess.best);
	return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "unknown %s '%s'", what, name);
}

static enum ub_exit fail_without_command(const struct ub_command *const *commands, const char *name)
{
	struct ub_error err = {0};
	struct ub_out out;
	enum ub_exit status;

	(void)ub_command_unknown(commands, name, &err);
	ub_out_init(&out, stdout);
	status = ub_out_fail(&out, &err, &(struct ub_facts){0});
	ub_out_done(&out);
	return status;
}

enum ub_exit ub_run(const struct ub_command *const *commands, const char *const argv[])
{
	const struct ub_command *command;
	const char *name = argv[0];

	if (!name) {
		ub_help_usage(stderr, commands);
		return UB_EXIT_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	command = ub_command_find(commands, name);
	return command ? ub_command_run(commands, command, argv + 1)
		       : fail_without_command(commands, name);
}
