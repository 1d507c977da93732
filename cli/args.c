/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guess.h"
#include "value.h"

static bool matches(const struct ub_opt *opt, const struct ub_arg *arg)
{
	if (arg->name)
		return strlen(opt->name) == arg->name_len &&
		       memcmp(opt->name, arg->name, arg->name_len) == 0;
	return opt->letter == arg->letter;
}

/* @used: only among the tables that count in this call. */
static const struct ub_opt *find(const struct ub_optset *sets, size_t nr_sets,
				 const struct ub_arg *arg, bool used,
				 const struct ub_optset **ret_set)
{
	for (const struct ub_optset *set = sets; set < sets + nr_sets; set++) {
		if (used && !set->values)
			continue;
		for (const struct ub_opt *opt = set->options; opt->name; opt++) {
			if (!matches(opt, arg))
				continue;
			if (ret_set)
				*ret_set = set;
			return opt;
		}
	}
	return NULL;
}

/* Describes an option as it was typed. */
static const char *typed(const struct ub_arg *arg, char buf[static 64])
{
	if (arg->name)
		(void)snprintf(buf, 64, "--%.*s", (int)arg->name_len, arg->name);
	else
		(void)snprintf(buf, 64, "-%c", arg->letter);
	return buf;
}

static int unknown_option(const struct ub_optset *sets, size_t nr_sets, const struct ub_arg *arg,
			  struct ub_error *err)
{
	char name[64] = {arg->letter};
	struct ub_guess guess;

	if (arg->name)
		(void)snprintf(name, sizeof(name), "%.*s", (int)arg->name_len, arg->name);
	ub_guess_init(&guess, name);
	for (const struct ub_optset *set = sets; set < sets + nr_sets; set++) {
		for (const struct ub_opt *opt = set->options; opt->name; opt++)
			ub_guess_offer(&guess, opt->name);
	}
	return ub_guess_fail(&guess, "option", arg->name ? "--" : "-", err);
}

struct scan {
	const char *const *next;
	const struct ub_optset *sets;
	size_t nr_sets;
	struct ub_args *args;
	struct ub_error *err;
	int ret;
};

static void scan_long(struct scan *scan, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	struct ub_arg arg = {.name = text, .name_len = len};
	const struct ub_opt *opt = find(scan->sets, scan->nr_sets, &arg, false, NULL);
	int ret = 0;
	char buf[64];

	if (!opt) {
		ret = scan->ret ? 0 : unknown_option(scan->sets, scan->nr_sets, &arg, scan->err);
	} else if (opt->optional) {
		arg.value = equals ? equals + 1 : NULL;
	} else if (opt->type == UB_OPT_FLAG) {
		if (equals && !scan->ret)
			ret = ub_fail_usage(scan->err, "option '%s' takes no value",
					    typed(&arg, buf));
	} else if (equals) {
		arg.value = equals + 1;
	} else if (*scan->next) {
		arg.value = *scan->next++;
	} else {
		if (!scan->ret)
			scan->ret = ub_fail_usage(scan->err, "option '%s' needs a value",
						  typed(&arg, buf));
		return;
	}
	if (ret)
		scan->ret = ret;
	else if (opt)
		scan->args->list[scan->args->count++] = arg;
}

/* Letters may stand together; the rest after one that takes a value is its value. */
static void scan_letters(struct scan *scan, const char *text)
{
	char buf[64];

	while (*text) {
		struct ub_arg arg = {.letter = *text++};
		const struct ub_opt *opt = find(scan->sets, scan->nr_sets, &arg, false, NULL);

		if (!opt) {
			if (!scan->ret)
				scan->ret =
					unknown_option(scan->sets, scan->nr_sets, &arg, scan->err);
			return;
		}
		if (opt->type != UB_OPT_FLAG && !opt->optional) {
			arg.value = *text ? text : *scan->next ? *scan->next++ : NULL;
			if (!arg.value) {
				if (!scan->ret)
					scan->ret = ub_fail_usage(scan->err,
								  "option '%s' needs a value",
								  typed(&arg, buf));
				return;
			}
			text = "";
		}
		scan->args->list[scan->args->count++] = arg;
	}
}

/* Takes the next of the arguments. Return: false when all that is left is operands. */
static bool scan_next(struct scan *scan, bool operands_last)
{
	const char *text = *scan->next;

	/* No option is a digit: that is a number. */
	if (text[0] != '-' || !text[1] || isdigit((unsigned char)text[1])) {
		if (operands_last)
			return false;
		scan->args->operands[scan->args->nr_operands++] = *scan->next++;
		return true;
	}
	scan->next++;
	if (strcmp(text, "--") == 0)
		return false;
	if (text[1] == '-')
		scan_long(scan, text + 2);
	else
		scan_letters(scan, text + 1);
	return true;
}

int ub_args_scan(const char *const argv[], const struct ub_optset *sets, size_t nr_sets,
		 bool operands_last, struct ub_args *ret_args, struct ub_error *err)
{
	struct scan scan = {
		.next = argv, .sets = sets, .nr_sets = nr_sets, .args = ret_args, .err = err};
	size_t letters = 1, words = 1;

	for (const char *const *arg = argv; *arg; arg++) {
		letters += strlen(*arg);
		words++;
	}
	*ret_args = (struct ub_args){0};
	ret_args->list = calloc(letters, sizeof(*ret_args->list));
	ret_args->operands = calloc(words, sizeof(*ret_args->operands));
	if (!ret_args->list || !ret_args->operands) {
		ub_args_done(ret_args);
		return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot read the arguments");
	}
	while (*scan.next && scan_next(&scan, operands_last))
		;
	while (*scan.next)
		ret_args->operands[ret_args->nr_operands++] = *scan.next++;
	return scan.ret;
}

void ub_args_done(struct ub_args *args)
{
	free(args->list);
	free(args->operands);
	*args = (struct ub_args){0};
}

const struct ub_arg *ub_args_find(const struct ub_args *args, const struct ub_opt *opt)
{
	for (size_t i = 0; i < args->count; i++) {
		const struct ub_arg *arg = &args->list[i];

		if (arg->name ? matches(opt, arg) : opt->letter && arg->letter == opt->letter)
			return arg;
	}
	return NULL;
}

static int check_required(const struct ub_args *args, const struct ub_optset *set,
			  struct ub_error *err)
{
	char buf[64];

	for (const struct ub_opt *opt = set->options; opt->name; opt++) {
		/* It may have come from elsewhere. */
		if (!opt->required || ub_args_find(args, opt) || ub_opt_is_given(opt, set->values))
			continue;
		ub_opt_usage(opt, buf, sizeof(buf));
		if (set->owner)
			return ub_fail_usage(err, "%s needs '%s'", set->owner, buf);
		return ub_fail_usage(err, "option '%s' is missing", buf);
	}
	return 0;
}

/* The option is known, but belongs to tables that do not count: says whose it is. */
static int foreign_option(const struct ub_optset *sets, size_t nr_sets, const struct ub_arg *arg,
			  struct ub_error *err)
{
	const char *used = NULL;
	const struct ub_optset *set;
	const struct ub_opt *opt;
	char owners[128] = "", buf[64];
	size_t len = 0;

	for (set = sets; set < sets + nr_sets; set++) {
		if (set->values && set->owner)
			used = set->owner;
		opt = find(set, 1, arg, false, NULL);
		if (opt && set->refuse)
			return set->refuse(opt, err);
		if (!opt || !set->owner)
			continue;
		len += (size_t)snprintf(owners + len, sizeof(owners) - len, "%s%s", len ? ", " : "",
					set->owner);
		if (len >= sizeof(owners))
			break;
	}
	(void)typed(arg, buf);
	if (used)
		return ub_fail_usage(err, "option '%s' is one of %s, not of %s", buf, owners, used);
	return ub_fail_usage(err, "option '%s' is one of %s", buf, owners);
}

static int check_conflicts(const struct ub_args *args, const struct ub_optset *sets, size_t nr_sets,
			   const struct ub_opt *opt, struct ub_error *err)
{
	const char *word = opt->conflicts;

	while (word && *word) {
		struct ub_arg other = {.name = word, .name_len = strcspn(word, " ")};
		const struct ub_opt *found = find(sets, nr_sets, &other, true, NULL);

		if (found && ub_args_find(args, found))
			return ub_fail_usage(err, "options '--%s' and '--%s' exclude each other",
					     opt->name, found->name);
		word += other.name_len;
		word += strspn(word, " ");
	}
	return 0;
}

/* Whether one of the options before @arg means the same. */
static bool is_repeated(const struct ub_args *args, const struct ub_arg *arg,
			const struct ub_opt *opt)
{
	for (const struct ub_arg *before = args->list; before < arg; before++) {
		if (matches(opt, before))
			return true;
	}
	return false;
}

int ub_args_apply(const struct ub_args *args, const struct ub_optset *sets, size_t nr_sets,
		  struct ub_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < nr_sets && ret == 0; i++) {
		if (sets[i].values)
			ret = check_required(args, &sets[i], err);
	}
	for (const struct ub_arg *arg = args->list; arg < args->list + args->count && !ret; arg++) {
		const struct ub_optset *set = NULL;
		const struct ub_opt *opt = find(sets, nr_sets, arg, true, &set);

		if (!opt)
			ret = foreign_option(sets, nr_sets, arg, err);
		else if (opt->type != UB_OPT_FLAG && opt->type != UB_OPT_LAYERS &&
			 is_repeated(args, arg, opt))
			ret = ub_fail_usage(err, "option '--%s' is given twice", opt->name);
		else
			ret = check_conflicts(args, sets, nr_sets, opt, err);
		if (ret == 0)
			ret = ub_opt_store(opt, arg->value, set->values, err);
	}
	return ret;
}
