/* SPDX-License-Identifier: MIT */
/* Every command's tables, as a whole: what no single test would notice. */
#include "commands.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spec/spec.h"
#include "completers.h"
#include "hints.h"
#include "status.h"
#include "text.h"

#include <errno.h>

static bool is_kept_in(const char *text, const struct ub_opt *options, const struct ub_opt *self)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++) {
		if (opt != self && strcmp(opt->name, text) == 0)
			return true;
	}
	return false;
}

/* @other: options that stand beside @options in one call. */
static void no_option_clashes(const struct ub_opt *options, const struct ub_opt *other)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++) {
		if (is_kept_in(opt->name, options, opt) || is_kept_in(opt->name, other, NULL))
			fail_msg("two options --%s", opt->name);
		for (const struct ub_opt *o = other; opt->letter && o && o->name; o++) {
			if (o->letter == opt->letter)
				fail_msg("--%s and --%s are both -%c", opt->name, o->name,
					 opt->letter);
		}
		for (const struct ub_opt *o = options; opt->letter && o < opt; o++) {
			if (o->letter == opt->letter)
				fail_msg("--%s and --%s are both -%c", opt->name, o->name,
					 opt->letter);
		}
	}
}

static void options_are_well_formed(const struct ub_opt *options)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++) {
		size_t len = strlen(opt->help);

		if (!len || opt->help[len - 1] == '.' || isupper((unsigned char)opt->help[0]))
			fail_msg("help of --%s: '%s'", opt->name, opt->help);
		if (opt->type == UB_OPT_CHOICE)
			assert_non_null(opt->choices);
		if (opt->type == UB_OPT_FLAG)
			assert_null(opt->metavar);
		else if (!opt->metavar && !opt->choices && opt->type != UB_OPT_SWITCH)
			fail_msg("--%s has no metavar", opt->name);
		if (opt->completer && !ub_completer_find(opt->completer))
			fail_msg("nothing completes --%s: %s", opt->name, opt->completer);
		if (opt->max && opt->min > opt->max)
			fail_msg("range of --%s", opt->name);
	}
}

static void options_of_commands_neither_clash_nor_lack_help(void **state)
{
	(void)state;
	for (const struct ub_command *const *command = ub_commands; *command; command++) {
		no_option_clashes((*command)->options, NULL);
		options_are_well_formed((*command)->options);
		if ((*command)->completer && !ub_completer_find((*command)->completer))
			fail_msg("nothing completes what %s is about", (*command)->name);
		assert_false(is_kept_in("json", (*command)->options, NULL));
		assert_false(is_kept_in("help", (*command)->options, NULL));
	}
}

static void options_of_targets_fit_into_add(void **state)
{
	const struct ub_opt *own = ub_cmd_add.options;

	(void)state;
	no_option_clashes(ub_spec_options, own);
	options_are_well_formed(ub_spec_options);
	for (const struct ub_target *const *t = ub_targets; *t; t++) {
		no_option_clashes((*t)->options, own);
		no_option_clashes((*t)->options, ub_spec_options);
		options_are_well_formed((*t)->options);
	}
}

/* The parser takes arguments apart before it knows the target. */
static void options_of_one_name_take_a_value_in_all_targets_or_none(void **state)
{
	(void)state;
	for (const struct ub_target *const *a = ub_targets; *a; a++) {
		for (const struct ub_target *const *b = ub_targets; *b; b++) {
			for (const struct ub_opt *x = (*a)->options; x->name; x++) {
				for (const struct ub_opt *y = (*b)->options; y->name; y++) {
					if (strcmp(x->name, y->name) == 0)
						assert_int_equal(x->type == UB_OPT_FLAG,
								 y->type == UB_OPT_FLAG);
				}
			}
		}
	}
}

static void commands_are_found_by_their_whole_name(void **state)
{
	struct ub_error err = {0};

	(void)state;
	assert_ptr_equal(ub_command_find(ub_commands, "del"), &ub_cmd_del);
	assert_null(ub_command_find(ub_commands, "de"));
	assert_int_equal(ub_command_unknown(ub_commands, "recove", &err), -EINVAL);
	assert_string_equal(err.msg, "unknown command 'recove': did you mean 'recover'?");
}

static void statuses_follow_step_and_errno(void **state)
{
	static const struct {
		enum ub_stage stage;
		int code;
		enum ub_exit status;
	} cases[] = {
		{UB_STAGE_USAGE, -EINVAL, UB_EXIT_USAGE},
		{UB_STAGE_CONTROL, -ENOENT, UB_EXIT_MISSING},
		{UB_STAGE_CONTROL, -ENODEV, UB_EXIT_MISSING},
		{UB_STAGE_CONTROL, -ENOSYS, UB_EXIT_MISSING},
		{UB_STAGE_CONTROL, -EACCES, UB_EXIT_PERMISSION},
		{UB_STAGE_LOOKUP, -ENODEV, UB_EXIT_NO_DEVICE},
		{UB_STAGE_DEL, -ENODEV, UB_EXIT_NO_DEVICE},
		{UB_STAGE_BACKING, -ENOENT, UB_EXIT_FAILED},
		{UB_STAGE_BACKING, -ENODEV, UB_EXIT_FAILED},
		{UB_STAGE_BACKING, -EACCES, UB_EXIT_PERMISSION},
		{UB_STAGE_BACKING, -EEXIST, UB_EXIT_BUSY},
		{UB_STAGE_LOCK, -EAGAIN, UB_EXIT_BUSY},
		{UB_STAGE_LOCK, -EBUSY, UB_EXIT_BUSY},
		{UB_STAGE_ADD, -EEXIST, UB_EXIT_BUSY},
		{UB_STAGE_ADD, -EPERM, UB_EXIT_PERMISSION},
		{UB_STAGE_RECOVER, -EOPNOTSUPP, UB_EXIT_MISSING},
		{UB_STAGE_STOP, -EBUSY, UB_EXIT_BUSY},
		{UB_STAGE_STOP, -ETIMEDOUT, UB_EXIT_TIMEOUT},
		{UB_STAGE_OUTPUT, -EACCES, UB_EXIT_FAILED},
		{UB_STAGE_SERVER, -EPIPE, UB_EXIT_FAILED},
		{UB_STAGE_RING, -ENOMEM, UB_EXIT_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ub_exit_of(cases[i].stage, cases[i].code), cases[i].status);
}

static void several_devices_have_their_common_status_or_1(void **state)
{
	struct ub_common_status none = {0}, same = {0}, mixed = {0};

	(void)state;
	assert_int_equal(none.status, UB_EXIT_DONE);
	ub_common_add(&same, UB_EXIT_NO_DEVICE);
	ub_common_add(&same, UB_EXIT_NO_DEVICE);
	assert_int_equal(same.status, UB_EXIT_NO_DEVICE);
	ub_common_add(&mixed, UB_EXIT_DONE);
	ub_common_add(&mixed, UB_EXIT_NO_DEVICE);
	assert_int_equal(mixed.status, UB_EXIT_FAILED);
	ub_common_add(&mixed, UB_EXIT_DONE);
	assert_int_equal(mixed.status, UB_EXIT_FAILED);
}

static void hints_are_things_to_type(void **state)
{
	struct ub_user list[] = {{.kind = UB_USER_MOUNT, .what = "/mnt/it's $HOME"}};
	const struct ub_users users = {.list = list, .count = 1};
	struct ub_error err = {.code = -EBUSY, .stage = UB_STAGE_STOP};
	const struct ub_facts facts = {.verb = "del", .device = "3", .users = &users};
	struct ub_hints hints;

	(void)state;
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(hints.count, 2);
	assert_string_equal(hints.text[0], "umount '/mnt/it'\\''s $HOME'");
	assert_string_equal(hints.text[1],
			    "take it away, and lose what is not written: ublk del --force 3");
	err = (struct ub_error){.code = -ENODEV, .stage = UB_STAGE_LOOKUP};
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(hints.count, 1);
	assert_string_equal(hints.text[0], "see which devices there are: ublk list");
	/* A name that is taken has nothing to do with --id. */
	err = (struct ub_error){.code = -EEXIST, .stage = UB_STAGE_RECORD};
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(hints.count, 1);
	assert_string_equal(hints.text[0], "see what has it: ublk list");
	err = (struct ub_error){.code = -ESTALE, .stage = UB_STAGE_BACKING};
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(hints.count, 2);
	assert_string_equal(hints.text[0], "see what it was made of: ublk show 3");
	assert_string_equal(hints.text[1], "put that back, or lose the device: ublk del --force 3");
}

static void a_mount_point_that_was_cut_is_not_to_be_typed(void **state)
{
	struct ub_user list[] = {{.kind = UB_USER_MOUNT, .device = "ublkb3p1"}};
	const struct ub_users users = {.list = list, .count = 1};
	struct ub_error err = {.code = -EBUSY, .stage = UB_STAGE_STOP};
	const struct ub_facts facts = {.verb = "del", .device = "3", .users = &users};
	struct ub_hints hints;

	(void)state;
	memset(list[0].what, 'a', sizeof(list[0].what) - 1);
	ub_hints_find(&err, &facts, &hints);
	assert_string_equal(hints.text[0], "umount --all-targets /dev/ublkb3p1");
	list[0].what[sizeof(list[0].what) - 2] = '\0';
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(strlen(hints.text[0]), strlen("umount ") + strlen(list[0].what));
	memset(list[0].what, '\'', sizeof(list[0].what) - 2);
	ub_hints_find(&err, &facts, &hints);
	assert_int_equal(strlen(hints.text[0]), strlen("umount ''") + 4 * strlen(list[0].what));
}

static void print_escaped(const char *text, char *buf, size_t size)
{
	FILE *file = fmemopen(buf, size, "w");

	ub_put_escaped(file, text);
	(void)fclose(file);
}

static void text_neither_breaks_lines_nor_drives_terminals(void **state)
{
	char buf[100];

	(void)state;
	print_escaped("a\n\033[31m\x7f b", buf, sizeof(buf));
	assert_string_equal(buf, "a\\x0a\\x1b[31m\\x7f b");
	print_escaped("gr\xc3\xbcn \xe2\x82\xac", buf, sizeof(buf));
	assert_string_equal(buf, "gr\xc3\xbcn \xe2\x82\xac");
	/* A second control set, a direction mark, an overlong slash, a lone surrogate, a stump. */
	print_escaped("\xc2\x9b|\xe2\x80\xae|\xc0\xaf|\xed\xa0\x80|\xe2\x82", buf, sizeof(buf));
	assert_string_equal(buf,
			    "\\xc2\\x9b|\\xe2\\x80\\xae|\\xc0\\xaf|\\xed\\xa0\\x80|\\xe2\\x82");
	assert_int_equal(ub_text_width("gr\xc3\xbcn"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_commands_neither_clash_nor_lack_help),
		cmocka_unit_test(options_of_targets_fit_into_add),
		cmocka_unit_test(options_of_one_name_take_a_value_in_all_targets_or_none),
		cmocka_unit_test(commands_are_found_by_their_whole_name),
		cmocka_unit_test(statuses_follow_step_and_errno),
		cmocka_unit_test(several_devices_have_their_common_status_or_1),
		cmocka_unit_test(hints_are_things_to_type),
		cmocka_unit_test(a_mount_point_that_was_cut_is_not_to_be_typed),
		cmocka_unit_test(text_neither_breaks_lines_nor_drives_terminals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
