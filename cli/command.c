/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "spec/spec.h"
#include "guess.h"
#include "help.h"
#include "value.h"

const struct ub_command *ub_command_find(const struct ub_command *const *commands, const char *name)
{
	for (const struct ub_command *const *command = commands; *command; command++) {
		if (strcmp((*command)->name, name) == 0)
			return *command;
	}
	return NULL;
}

const struct ub_alias ub_aliases[] = {
	{.option = "--help", .letter = 'h', .command = "help"},
	{.option = "--version", .letter = 'V', .command = "version"},
	{.option = NULL},
};

const struct ub_command *ub_command_typed(const struct ub_command *const *commands,
					  const char *word)
{
	for (const struct ub_alias *alias = ub_aliases; alias->option; alias++) {
		if (strcmp(word, alias->option) == 0 ||
		    (word[0] == '-' && word[1] == alias->letter && !word[2]))
			return ub_command_find(commands, alias->command);
	}
	return ub_command_find(commands, word);
}

enum { JSON_DOCUMENT, JSON_LINES };

static const char *const json_forms[] = {
	[JSON_DOCUMENT] = "document", [JSON_LINES] = "lines", NULL};
static const char *const json_only_form[] = {"document", NULL};

#define JSON_OPTION(forms, text)                                                                 \
	{                                                                                        \
		.name = "json", .letter = 'j', .type = UB_OPT_CHOICE, .optional = true,          \
		.choices = forms, .offset = offsetof(struct ub_common_args, json), .help = text, \
	}

static const struct ub_opt json_options[] = {
	JSON_OPTION(json_only_form, "print JSON"),
	UB_OPT_END,
};

/* Of commands whose result is a row of objects. */
static const struct ub_opt json_lines_options[] = {
	JSON_OPTION(json_forms, "print JSON; lines: an object a line, each as soon as it is known"),
	UB_OPT_END,
};

static const struct ub_opt *json_options_of(const struct ub_command *command)
{
	return command->line_schema ? json_lines_options : json_options;
}

static const struct ub_opt help_options[] = {
	{.name = "help",
	 .letter = 'h',
	 .type = UB_OPT_FLAG,
	 .offset = offsetof(struct ub_common_args, help),
	 .help = "print this help"},
	UB_OPT_END,
};

static void add_set(struct ub_parse *parse, const char *title, const struct ub_opt *options,
		    void *values)
{
	parse->sets[parse->nr_sets++] =
		(struct ub_optset){.title = title, .options = options, .values = values};
}

int ub_parse_tables(struct ub_parse *parse, struct ub_error *err)
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
		add_set(parse, title, json_options_of(command), &parse->common);
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
static void print_help(struct ub_parse *parse)
{
	struct ub_optset *to = parse->sets;
	bool any = false;

	for (size_t i = 0; i < parse->nr_sets; i++)
		any |= is_chosen(&parse->sets[i]);
	for (size_t i = 0; i < parse->nr_sets; i++) {
		if (!parse->sets[i].refuse &&
		    (!any || !parse->sets[i].owner || is_chosen(&parse->sets[i])))
			*to++ = parse->sets[i];
	}
	ub_help_command(parse->call->out.file, parse->call->command, parse->sets,
			(size_t)(to - parse->sets));
}

const struct ub_opt *ub_parse_excludes_operands(const struct ub_parse *parse)
{
	for (const struct ub_optset *set = parse->sets; set < parse->sets + parse->nr_sets; set++) {
		for (const struct ub_opt *opt = set->options; opt->name; opt++) {
			if (opt->no_operands && ub_args_find(&parse->typed, opt))
				return opt;
		}
	}
	return NULL;
}

static int check_operands(const struct ub_parse *parse, struct ub_error *err)
{
	const struct ub_call *call = parse->call;
	const struct ub_command *command = call->command;
	const struct ub_opt *opt = ub_parse_excludes_operands(parse);

	if (call->nr_operands > command->max_operands)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "unexpected argument '%s'",
				    call->operands[command->max_operands]);
	if (call->nr_operands && opt)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL,
				    "option '--%s' and '%s' exclude each other", opt->name,
				    call->operands[0]);
	return 0;
}

/* Before anything can fail, since it decides how that is told. */
static void choose_form(struct ub_parse *parse)
{
	struct ub_call *call = parse->call;
	const struct ub_opt *json = json_options_of(call->command);
	const struct ub_arg *arg = call->command->json ? ub_args_find(&parse->typed, json) : NULL;

	if (!arg)
		return;
	call->out.json = true;
	if (ub_opt_store(json, arg->value, &parse->common, NULL) == 0 &&
	    parse->common.json == JSON_LINES)
		call->out.line_schema = call->command->line_schema;
}

/* Return: 0, or a negative errno; help that was asked for leaves the rest unread. */
static int parse_args(struct ub_parse *parse, const char *const argv[], struct ub_error *err)
{
	struct ub_call *call = parse->call;
	int ret = ub_parse_tables(parse, err);

	if (ret == 0)
		ret = ub_args_scan(argv, parse->sets, parse->nr_sets, call->command->operands_last,
				   &parse->typed, err);
	call->operands = parse->typed.operands;
	call->nr_operands = parse->typed.nr_operands;
	choose_form(parse);
	/* Again: now it can be seen what was chosen. */
	if (ret == 0 && call->command->more)
		ret = ub_parse_tables(parse, err);
	if (ret < 0)
		return ret;
	parse->common.help = ub_args_find(&parse->typed, help_options);
	if (parse->common.help)
		return 0;
	ret = ub_args_apply(&parse->typed, parse->sets, parse->nr_sets, err);
	return ret ? ret : check_operands(parse, err);
}

int ub_parse_open(struct ub_parse *parse)
{
	struct ub_call *call = parse->call;
	const struct ub_command *command = call->command;

	call->args = calloc(1, command->args_size ? command->args_size : 1);
	if (!call->args)
		return -ENOMEM;
	if (command->defaults)
		command->defaults(call->args);
	return 0;
}

void ub_parse_close(struct ub_parse *parse)
{
	struct ub_call *call = parse->call;

	ub_args_done(&parse->typed);
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
	struct ub_parse parse = {.call = &call};
	struct ub_error err = {0};
	enum ub_exit status, written;
	int ret;

	ub_out_init(&call.out, stdout);
	ret = ub_parse_open(&parse);
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
	ub_parse_close(&parse);
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
	struct ub_guess guess;

	ub_guess_init(&guess, name);
	if (name[0] == '-') {
		for (const struct ub_alias *alias = ub_aliases; alias->option; alias++)
			ub_guess_offer(&guess, alias->option);
		return ub_guess_fail(&guess, "option", "", err);
	}
	for (const struct ub_command *const *command = commands; *command; command++)
		if (!(*command)->hidden)
			ub_guess_offer(&guess, (*command)->name);
	return ub_guess_fail(&guess, "command", "", err);
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
	command = ub_command_typed(commands, name);
	return command ? ub_command_run(commands, command, argv + 1)
		       : fail_without_command(commands, name);
}
