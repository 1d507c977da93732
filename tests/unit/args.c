/* SPDX-License-Identifier: MIT */
/* The parser of options. */
#include "args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "spec/spec.h"
#include "value.h"

static const char *const colours[] = {"red", "green", NULL};

struct values {
	bool loud, quiet;
	uint32_t count;
	int id;
	uint64_t size;
	uint32_t chunk;
	char *name;
	int colour;
	int direct;
	int form;
	char *list;
};

#define AT(field) .offset = offsetof(struct values, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "loud", .letter = 'l', .type = UB_OPT_FLAG, AT(loud), .conflicts = "quiet name" },
	{ .name = "quiet", .letter = 'k', .type = UB_OPT_FLAG, AT(quiet) },
	{ .name = "count", .letter = 'c', .type = UB_OPT_U32, AT(count), .min = 1, .max = 9 },
	{ .name = "id", .letter = 'n', .type = UB_OPT_INT, AT(id) },
	{ .name = "size", .letter = 's', .type = UB_OPT_SIZE, AT(size), .min = 512 },
	{ .name = "chunk", .type = UB_OPT_SIZE32, AT(chunk), .max = 1 << 20 },
	{ .name = "name", .type = UB_OPT_STRING, AT(name), .metavar = "NAME" },
	{ .name = "colour", .type = UB_OPT_CHOICE, AT(colour), .choices = colours },
	{ .name = "direct", .type = UB_OPT_SWITCH, AT(direct) },
	{ .name = "form", .letter = 'F', .type = UB_OPT_CHOICE, AT(form), .choices = colours, .optional = 1 },
	{ .name = "colours", .type = UB_OPT_STRING, AT(list), .choices = colours },
	UB_OPT_END,
};

struct box { char *file; };

static const struct ub_opt box_options[] = {
	{ .name = "file", .letter = 'f', .type = UB_OPT_STRING, .metavar = "FILE", .required = 1 },
	UB_OPT_END,
};
/* clang-format on */

static struct values values;
static struct box box;
static struct ub_optset sets[2];
static bool operands_last;
static struct ub_args args;
static struct ub_error err;

static int setup(void **state)
{
	(void)state;
	values = (struct values){.id = -1, .direct = -1, .form = -1};
	box = (struct box){0};
	err = (struct ub_error){0};
	operands_last = false;
	sets[0] = (struct ub_optset){.options = options, .values = &values};
	sets[1] = (struct ub_optset){.options = box_options, .owner = "target box"};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ub_opt_free_strings(options, &values);
	ub_opt_free_strings(box_options, &box);
	ub_args_done(&args);
	return 0;
}

static int parse_list(const char *const *argv)
{
	int ret;

	(void)teardown(NULL);
	ret = ub_args_scan(argv, sets, UB_ARRAY_SIZE(sets), operands_last, &args, &err);
	return ret ? ret : ub_args_apply(&args, sets, UB_ARRAY_SIZE(sets), &err);
}

#define parse(...) parse_list((const char *const[]){__VA_ARGS__, NULL})

/* Refused as wrong usage, in these words. */
#define refused(words, ...)                                          \
	do {                                                         \
		assert_int_equal(parse(__VA_ARGS__), -EINVAL);       \
		assert_int_equal(err.stage, UB_STAGE_USAGE);         \
		if (!strstr(err.msg, words))                         \
			fail_msg("'%s' lacks '%s'", err.msg, words); \
	} while (0)

static void values_stand_behind_or_beside_their_option(void **state)
{
	(void)state;
	assert_int_equal(parse("--count", "3", "-n", "4"), 0);
	assert_int_equal(values.count, 3);
	assert_int_equal(values.id, 4);
	assert_int_equal(parse("--count=5", "-n6"), 0);
	assert_int_equal(values.count, 5);
	assert_int_equal(values.id, 6);
	assert_int_equal(parse("-lc7"), 0);
	assert_true(values.loud);
	assert_int_equal(values.count, 7);
	assert_int_equal(parse("--name=a=b"), 0);
	assert_string_equal(values.name, "a=b");
}

static void each_type_is_stored(void **state)
{
	(void)state;
	assert_int_equal(parse("-s1.5K", "--chunk", "4K", "--colour", "green", "--direct=off"), 0);
	assert_int_equal(values.size, 1536);
	assert_int_equal(values.chunk, 4096);
	assert_int_equal(values.colour, 1);
	assert_int_equal(values.direct, 0);
	assert_int_equal(parse("--direct=on"), 0);
	assert_int_equal(values.direct, 1);
	assert_int_equal(parse("--direct=auto"), 0);
	assert_int_equal(values.direct, -1);
}

static void operands_are_all_the_rest(void **state)
{
	(void)state;
	assert_int_equal(parse("a", "--count", "3", "-", "--", "--count", "-l"), 0);
	assert_int_equal(args.nr_operands, 4);
	assert_string_equal(args.operands[0], "a");
	assert_string_equal(args.operands[1], "-");
	assert_string_equal(args.operands[2], "--count");
	assert_string_equal(args.operands[3], "-l");
	assert_false(values.loud);
}

static void a_number_below_zero_is_an_operand(void **state)
{
	(void)state;
	assert_int_equal(parse("-1G", "-l", "-0"), 0);
	assert_int_equal(args.nr_operands, 2);
	assert_string_equal(args.operands[0], "-1G");
	assert_string_equal(args.operands[1], "-0");
	assert_true(values.loud);
}

static void what_follows_the_first_operand_may_be_another_commands(void **state)
{
	(void)state;
	operands_last = true;
	assert_int_equal(parse("--count", "3", "a", "-l", "--", "--what"), 0);
	assert_int_equal(values.count, 3);
	assert_int_equal(args.nr_operands, 4);
	assert_string_equal(args.operands[0], "a");
	assert_string_equal(args.operands[1], "-l");
	assert_string_equal(args.operands[2], "--");
	assert_string_equal(args.operands[3], "--what");
	assert_false(values.loud);
	assert_int_equal(parse("-l", "--", "--what"), 0);
	assert_int_equal(args.nr_operands, 1);
	assert_true(values.loud);
	refused("unknown option '--what'", "--what", "a");
}

static void an_optional_value_stands_behind_its_equals_sign_only(void **state)
{
	(void)state;
	assert_int_equal(parse("--form", "green"), 0);
	assert_int_equal(values.form, 0);
	assert_int_equal(args.nr_operands, 1);
	assert_int_equal(parse("--form=green"), 0);
	assert_int_equal(values.form, 1);
	assert_int_equal(parse("-Fl", "green"), 0);
	assert_int_equal(values.form, 0);
	assert_true(values.loud);
	refused("'gren' is not one of: red, green: did you mean 'green'?", "--form=gren");
	refused("'' is not one of", "--form=");
	refused("given twice", "-F", "--form");
}

static void a_list_of_words_has_words_only(void **state)
{
	(void)state;
	assert_int_equal(parse("--colours", "green,red"), 0);
	assert_int_equal(ub_opt_listed(colours, values.list), 3);
	assert_int_equal(parse("--colours=green"), 0);
	assert_int_equal(ub_opt_listed(colours, values.list), 2);
	assert_int_equal(ub_opt_listed(colours, NULL), 0);
	refused("'rde' is not one of: red, green: did you mean 'red'?", "--colours=green,rde");
	refused("'' is not one of", "--colours=green,");
	refused("'' is not one of", "--colours=,green");
	refused("has an empty value", "--colours=");
}

static void unknown_options_are_refused_and_guessed(void **state)
{
	(void)state;
	refused("unknown option '--sise': did you mean '--size'?", "--sise", "3");
	refused("unknown option '--cuont': did you mean '--count'?", "--cuont=3");
	refused("unknown option '--wholly-else'", "--wholly-else");
	refused("unknown option '-z'", "-lz");
}

static void abbreviations_are_refused(void **state)
{
	(void)state;
	refused("did you mean '--count'?", "--cou", "3");
	refused("did you mean '--colour'?", "--colo=red");
}

static void values_are_neither_missing_nor_too_many(void **state)
{
	(void)state;
	refused("'--count' needs a value", "--count");
	refused("'-c' needs a value", "-lc");
	refused("'--loud' takes no value", "--loud=1");
	refused("'--name' has an empty value", "--name=");
	refused("'--count' is given twice", "-c3", "--count=3");
	assert_int_equal(parse("-ll"), 0);
}

static void ranges_and_words_hold(void **state)
{
	(void)state;
	refused("0 is out of range: 1 to 9", "-c0");
	refused("10 is out of range: 1 to 9", "-c10");
	refused("'x' is no number", "-cx");
	refused("'-1' is no number", "-c", "-1");
	refused("99999999999 is out of range", "-n99999999999");
	refused("511 is out of range: 512 to 8E", "-s511");
	refused("16E is out of range", "-s16E");
	refused("2M is out of range: 0 to 1M", "--chunk=2M");
	refused("'many' is no size", "--chunk=many");
	refused("'blue' is not one of: red, green", "--colour=blue");
	refused("'gre' is not one of: red, green", "--colour=gre");
	refused("'maybe' is not one of: on, off, auto", "--direct=maybe");
	assert_int_equal(parse("-c9", "-n0"), 0);
	assert_int_equal(values.id, 0);
}

static void conflicts_hold_in_any_order(void **state)
{
	(void)state;
	refused("'--loud' and '--quiet' exclude each other", "-lk");
	refused("'--loud' and '--quiet' exclude each other", "--quiet", "--loud");
	refused("'--loud' and '--name' exclude each other", "--name", "a", "-l");
}

static void an_option_of_another_target_names_its_owner(void **state)
{
	struct values other = {0};
	const struct ub_optset three[] = {
		sets[0], sets[1], {.options = options, .values = &other, .owner = "target can"}};
	const char *const argv[] = {"-fx", NULL};

	(void)state;
	refused("'--file' is one of target box", "--file=x");
	ub_args_done(&args);
	assert_int_equal(ub_args_scan(argv, three, 3, false, &args, &err), 0);
	assert_int_equal(ub_args_apply(&args, three, 3, &err), -EINVAL);
	assert_string_equal(err.msg, "option '-f' is one of target box, not of target can");
}

static void required_options_count_when_their_table_does(void **state)
{
	(void)state;
	assert_int_equal(parse("-c1"), 0);
	sets[1].values = &box;
	refused("target box needs '--file FILE'", "-c1");
	assert_int_equal(parse("-c1", "-f", "-x"), 0);
	assert_string_equal(box.file, "-x");
}

static void a_scan_goes_on_after_an_error(void **state)
{
	(void)state;
	refused("unknown option '--bogus'", "--bogus", "--what", "-l");
	assert_non_null(ub_args_find(&args, &options[0]));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_stand_behind_or_beside_their_option),
		TEST(each_type_is_stored),
		TEST(operands_are_all_the_rest),
		TEST(a_number_below_zero_is_an_operand),
		TEST(what_follows_the_first_operand_may_be_another_commands),
		TEST(an_optional_value_stands_behind_its_equals_sign_only),
		TEST(a_list_of_words_has_words_only),
		TEST(unknown_options_are_refused_and_guessed),
		TEST(abbreviations_are_refused),
		TEST(values_are_neither_missing_nor_too_many),
		TEST(ranges_and_words_hold),
		TEST(conflicts_hold_in_any_order),
		TEST(an_option_of_another_target_names_its_owner),
		TEST(required_options_count_when_their_table_does),
		TEST(a_scan_goes_on_after_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
