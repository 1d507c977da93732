/* SPDX-License-Identifier: MIT */
/* The table of the driver's features: complete, in order, and with the kernel's names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/features.h"
#include "kernel/uapi.h"

static void every_flag_is_there_once_and_in_order(void **state)
{
	unsigned count = 0;

	(void)state;
	for (const struct ub_feature *f = ub_features; f->name; f++)
		assert_true(f->bit == 1ULL << count++);
	/* GET_FEATURES of Linux 7.3 says 0x1fffff. */
	assert_int_equal(count, 21);
}

static void names_are_fit_for_json_and_texts_for_a_table(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	(void)state;
	for (const struct ub_feature *f = ub_features; f->name; f++) {
		size_t len = strlen(f->summary);

		assert_int_equal(strspn(f->name, letters), strlen(f->name));
		assert_true(f->since[0] >= '6' && f->since[1] == '.');
		assert_true(len > 0 && len < 80 && f->summary[len - 1] != '.');
		for (const struct ub_feature *g = ub_features; g != f; g++)
			assert_string_not_equal(f->name, g->name);
	}
}

static const struct ub_feature *find(const char *name)
{
	for (const struct ub_feature *f = ub_features; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	fail_msg("no feature %s", name);
	return NULL;
}

static void versions_and_bits_are_the_kernels(void **state)
{
	(void)state;
	assert_true(find("user_recovery")->bit == UBLK_F_USER_RECOVERY);
	assert_string_equal(find("user_recovery")->since, "6.1");
	assert_string_equal(find("support_zero_copy")->since, "6.15");
	assert_true(find("auto_buf_reg")->bit == UBLK_F_AUTO_BUF_REG);
	assert_string_equal(find("buf_reg_off_daemon")->since, "6.17");
	assert_string_equal(find("safe_stop_dev")->since, "7.0");
	assert_true(find("io_desc_size")->bit == UBLK_F_IO_DESC_SIZE);
	assert_string_equal(find("io_desc_size")->since, "7.3");
}

/* Those that the code names are `used`; tests/cli/layers.bats holds them against each other. */
static void what_is_used_can_be_told(void **state)
{
	(void)state;
	assert_true(find("user_copy")->used);
	assert_true(find("batch_io")->used);
	assert_false(find("zoned")->used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flag_is_there_once_and_in_order),
		cmocka_unit_test(names_are_fit_for_json_and_texts_for_a_table),
		cmocka_unit_test(versions_and_bits_are_the_kernels),
		cmocka_unit_test(what_is_used_can_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
