/* SPDX-License-Identifier: MIT */
#include "complete.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "completers.h"
#include "value.h"

struct line {
	FILE *file;
	bool kind_only;
	const char *word;       /* that is being typed */
	struct ub_parse *parse; /* of what stands before it */
};

/* Return: whether words are wanted. */
static bool begin(const struct line *l, const char *kind, size_t prefix_len)
{
	/* No line of ours has another one in it. */
	for (size_t i = 0; i < prefix_len; i++)
		if ((unsigned char)l->word[i] < ' ')
			return false;
	(void)fprintf(l->file, "%s\t%.*s\n", kind, (int)prefix_len, l->word);
	return !l->kind_only;
}

/* Behind the last of the characters that part a list. */
static size_t find_element(const char *value, const char *breaks)
{
	size_t begun = 0;

	for (size_t i = 0; breaks && value[i]; i++)
		if (strchr(breaks, value[i]))
			begun = i + 1;
	return begun;
}

/* @value: a part of the word that is being typed. */
static void complete_by(const struct line *l, const char *name, const char *value)
{
	const struct ub_completer *completer = name ? ub_completer_find(name) : NULL;
	struct ub_completing c = {
		.file = l->file,
		.commands = l->parse->call->commands,
		.command = l->parse->call->command,
		.typed = &l->parse->typed,
		.value = value,
	};

	if (!completer)
		return;
	c.begun = find_element(value, completer->breaks);
	if (begin(l, completer->kind, (size_t)(value - l->word) + c.begun) && completer->offer)
		completer->offer(&c);
}

static void complete_value(const struct line *l, const struct ub_opt *opt, const char *value)
{
	const char *const *words = ub_opt_words(opt);

	if (!words) {
		complete_by(l, opt->completer, value);
		return;
	}
	if (!begin(l, "words", (size_t)(value - l->word)))
		return;
	for (; *words; words++)
		ub_offer(l->file, *words, "");
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p && (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

/* Does something that was typed leave no place for the option, or is it there already? */
static bool is_excluded(const struct ub_parse *parse, const struct ub_opt *opt)
{
	if (opt->no_operands && parse->typed.nr_operands)
		return true;
	for (const struct ub_optset *set = parse->sets; set < parse->sets + parse->nr_sets; set++) {
		for (const struct ub_opt *other = set->options; other->name; other++) {
			bool counts = set->values && ub_args_find(&parse->typed, other);

			if (counts && ((other == opt && opt->type != UB_OPT_LAYERS) ||
				       has_word(other->conflicts, opt->name) ||
				       has_word(opt->conflicts, other->name)))
				return true;
		}
	}
	return false;
}

/* By its long name: whoever has typed a letter has typed all of it. */
static void offer_option(const struct line *l, const struct ub_opt *opt)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "--%s", opt->name);
	ub_offer(l->file, text, opt->help);
}

/* @urgent: those that the target or the command can't do without, and the target's own; or the rest. */
static void offer_options(const struct line *l, bool urgent)
{
	const struct ub_parse *parse = l->parse;

	for (const struct ub_optset *set = parse->sets; set < parse->sets + parse->nr_sets; set++) {
		for (const struct ub_opt *opt = set->options; set->values && opt->name; opt++) {
			if ((opt->required || set->owner) == urgent && !is_excluded(parse, opt))
				offer_option(l, opt);
		}
	}
}

static void complete_option(const struct line *l)
{
	if (!begin(l, "words", 0))
		return;
	offer_options(l, true);
	offer_options(l, false);
}

static void complete_operand(const struct line *l)
{
	const struct ub_command *command = l->parse->call->command;
	bool fits = l->parse->typed.nr_operands < command->max_operands &&
		    !ub_parse_excludes_operands(l->parse);

	if (fits)
		complete_by(l, command->completer, l->word);
	else if (!l->word[0])
		complete_option(l);
}

/* Among the tables that count in this call first: only these tell what a value may be for sure. */
static const struct ub_opt *option_of(const struct ub_parse *parse, struct ub_arg *arg)
{
	const struct ub_args one = {.list = arg, .count = 1};
	const struct ub_opt *other = NULL;

	for (const struct ub_optset *set = parse->sets; set < parse->sets + parse->nr_sets; set++) {
		for (const struct ub_opt *opt = set->options; opt->name; opt++) {
			if (!ub_args_find(&one, opt))
				continue;
			if (set->values)
				return opt;
			other = opt;
		}
	}
	return other;
}

/* The option whose value the word is, or has in it. Return: it, or NULL. */
static const struct ub_opt *find_option(const struct line *l, const struct ub_args *args,
					const char *word, const char **ret_value)
{
	uintptr_t start = (uintptr_t)word, end = start + strlen(word);

	for (size_t i = 0; i < args->count; i++) {
		uintptr_t at = (uintptr_t)args->list[i].value;

		if (at < start || at > end)
			continue;
		*ret_value = l->word + (at - start);
		return option_of(l->parse, &args->list[i]);
	}
	return NULL;
}

static bool is_operand(const struct ub_args *args, const char *word)
{
	return args->nr_operands && args->operands[args->nr_operands - 1] == word;
}

/* @words: behind the command, @count of them, the last one being typed. */
static void complete_in(struct line *l, const char *const words[], size_t count)
{
	/* What only begins an option would be taken for something else. */
	bool dashes = strcmp(l->word, "-") == 0 || strcmp(l->word, "--") == 0;
	bool operands_last = l->parse->call->command->operands_last;
	const char *word = dashes ? "--?" : l->word, *value;
	_cleanup_free_ const char **argv = calloc(count + 1, sizeof(*argv));
	_cleanup_(ub_args_done)
	struct ub_args args = {0};
	struct ub_error ignored = {0};
	const struct ub_opt *opt;

	if (!argv || ub_parse_open(l->parse) != 0)
		return;
	memcpy(argv, words, (count - 1) * sizeof(*argv));
	/* What is wrong before the word is for the command to tell. */
	(void)ub_parse_tables(l->parse, &ignored);
	(void)ub_args_scan(argv, l->parse->sets, l->parse->nr_sets, operands_last, &l->parse->typed,
			   NULL);
	argv[count - 1] = word;
	(void)ub_args_scan(argv, l->parse->sets, l->parse->nr_sets, operands_last, &args, NULL);
	(void)ub_parse_tables(l->parse, &ignored);
	opt = find_option(l, &args, word, &value);
	if (opt)
		complete_value(l, opt, value);
	else if (l->word[0] == '-' && !is_operand(&args, word))
		complete_option(l);
	else
		complete_operand(l);
}

/* In the place of a command. */
static void complete_command(const struct line *l)
{
	if (l->word[0] != '-') {
		complete_by(l, "command", l->word);
		return;
	}
	if (!begin(l, "words", 0))
		return;
	for (const struct ub_alias *alias = ub_aliases; alias->option; alias++)
		ub_offer(l->file, alias->option,
			 ub_command_find(l->parse->call->commands, alias->command)->summary);
}

void ub_complete(FILE *file, const struct ub_command *const *commands, const char *const words[],
		 bool kind_only)
{
	struct ub_call call = {.commands = commands};
	struct ub_parse parse = {.call = &call};
	struct line l = {.file = file, .kind_only = kind_only, .parse = &parse};
	size_t count = 0;

	while (words[count])
		count++;
	if (!count)
		return;
	l.word = words[count - 1];
	if (count == 1) {
		complete_command(&l);
		return;
	}
	call.command = ub_command_typed(commands, words[0]);
	if (!call.command || call.command->hidden)
		return;
	complete_in(&l, words + 1, count - 1);
	ub_parse_close(&parse);
}
