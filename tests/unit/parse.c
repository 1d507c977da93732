/* SPDX-License-Identifier: MIT */
/* Numbers from text and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/node.h"

#define KIB 1024ULL

static void numbers_are_whole_strings(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int ret;
		uint64_t value;
	} cases[] = {
		{"0", UINT64_MAX, 0, 0},
		{"007", UINT64_MAX, 0, 7},
		{"0x1F", UINT64_MAX, 0, 31},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"0xffffffffffffffff", UINT64_MAX, 0, UINT64_MAX},
		{"4096", 4096, 0, 4096},
		{"4097", 4096, -ERANGE, 0},
		{"18446744073709551616", UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999", UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999x", UINT64_MAX, -EINVAL, 0},
		{"", UINT64_MAX, -EINVAL, 0},
		{"0x", UINT64_MAX, -EINVAL, 0},
		{"-1", UINT64_MAX, -EINVAL, 0},
		{"+1", UINT64_MAX, -EINVAL, 0},
		{" 1", UINT64_MAX, -EINVAL, 0},
		{"1 ", UINT64_MAX, -EINVAL, 0},
		{"1\n", UINT64_MAX, -EINVAL, 0},
		{"1e3", UINT64_MAX, -EINVAL, 0},
		{"abc", UINT64_MAX, -EINVAL, 0},
		{"1.5", UINT64_MAX, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++) {
		uint64_t value = 12345;

		if (ub_parse_u64(cases[i].text, cases[i].max, &value) != cases[i].ret)
			fail_msg("'%s'", cases[i].text);
		assert_int_equal(value, cases[i].ret ? 12345 : cases[i].value);
	}
}

static void sizes_have_units_of_1024(void **state)
{
	static const struct {
		const char *text;
		int ret;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"513", 0, 513},
		{"4k", 0, 4 * KIB},
		{"512K", 0, 512 * KIB},
		{"1.5G", 0, 3 * KIB * KIB * KIB / 2},
		{"10GiB", 0, 10 * KIB * KIB * KIB},
		{"10giB", 0, 10 * KIB * KIB * KIB},
		{"2T", 0, 2 * KIB * KIB * KIB * KIB},
		{"1P", 0, KIB * KIB * KIB * KIB * KIB},
		{"7E", 0, 7 * KIB * KIB * KIB * KIB * KIB * KIB},
		{"0.5K", 0, 512},
		{"1.0009765625K", 0, 1025},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"8E", -ERANGE, 0},
		{"16E", -ERANGE, 0},
		{"99999999999999999999G", -ERANGE, 0},
		{"0.3K", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"1.K", -EINVAL, 0},
		{".5K", -EINVAL, 0},
		{"1.0000000000000000000K", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1K", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1B", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"1KK", -EINVAL, 0},
		{"1Ki", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"99999999999999999999x", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 12345;

		if (ub_parse_size(cases[i].text, &bytes) != cases[i].ret)
			fail_msg("'%s'", cases[i].text);
		assert_int_equal(bytes, cases[i].ret ? 12345 : cases[i].bytes);
	}
}

static void a_device_has_five_names(void **state)
{
	static const char *const good[] = {"3", "ublkb3", "ublkc3", "/dev/ublkb3", "/dev/ublkc3"};
	static const char *const bad[] = {
		"",        "ublkb",   "ublkb3p1", "ublkd3",       "/dev/3",      "/dev/sda",
		"ublkb03", "03",      "0x3",      "-3",           "3 ",          "/dev/ublkb",
		"dev/3",   "1048576", "ublk3",    "/dev/ublkb-1", "ublkb/dev/3", "four",
	};
	uint32_t id;

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(good); i++) {
		assert_int_equal(ub_parse_dev_id(good[i], &id), 0);
		assert_int_equal(id, 3);
	}
	assert_int_equal(ub_parse_dev_id("0", &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(ub_parse_dev_id("1048575", &id), 0);
	for (size_t i = 0; i < UB_ARRAY_SIZE(bad); i++) {
		if (ub_parse_dev_id(bad[i], &id) != -EINVAL)
			fail_msg("'%s'", bad[i]);
	}
}

static void sizes_are_written_short_and_right(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0"},
		{513, "513"},
		{1023, "1023"},
		{1024, "1K"},
		{1536, "1.5K"},
		{512 * KIB, "512K"},
		{1000000, "976.6K"},
		{KIB * KIB - 1, "1M"},
		{KIB * KIB * KIB - 1, "1G"},
		{10 * KIB * KIB * KIB, "10G"},
		{250 * KIB * KIB * KIB, "250G"},
		{3 * KIB * KIB * KIB / 2, "1.5G"},
		{INT64_MAX, "8E"},
		{UINT64_MAX, "16E"},
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++)
		assert_string_equal(ub_format_size(cases[i].bytes, buf, sizeof(buf)),
				    cases[i].text);
}

static void cpus_are_numbers_and_ranges_each_once(void **state)
{
	static const struct {
		const char *text;
		int ret;
		unsigned cpus[6];
	} cases[] = {
		{"0", 1, {0}},
		{"3,1", 2, {3, 1}},
		{"0-3,8", 5, {0, 1, 2, 3, 8}},
		{"10-10", 1, {10}},
		{"", -EINVAL, {0}},
		{",", -EINVAL, {0}},
		{"1,", -EINVAL, {0}},
		{"1,,2", -EINVAL, {0}},
		{"3-1", -EINVAL, {0}},
		{"1-2-3", -EINVAL, {0}},
		{"1-", -EINVAL, {0}},
		{"-1", -EINVAL, {0}},
		{" 1", -EINVAL, {0}},
		{"1 ", -EINVAL, {0}},
		{"0x1", -EINVAL, {0}},
		{"a", -EINVAL, {0}},
		{"1,1", -EINVAL, {0}},
		{"0-3,2", -EINVAL, {0}},
		{"64", -ERANGE, {0}},
		{"0-6", -ERANGE, {0}},
		{"0-4294967295", -ERANGE, {0}},
		{"99999999999999999999", -EINVAL, {0}},
	};
	unsigned cpus[6];

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++) {
		int ret = ub_parse_cpus(cases[i].text, 63, cpus, UB_ARRAY_SIZE(cpus));

		if (ret != cases[i].ret)
			fail_msg("'%s': %d", cases[i].text, ret);
		if (ret > 0)
			assert_memory_equal(cpus, cases[i].cpus, (size_t)ret * sizeof(*cpus));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_strings),
		cmocka_unit_test(sizes_have_units_of_1024),
		cmocka_unit_test(a_device_has_five_names),
		cmocka_unit_test(sizes_are_written_short_and_right),
		cmocka_unit_test(cpus_are_numbers_and_ranges_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
