/* SPDX-License-Identifier: MIT */
/* Kernels that are known to be bad: which releases the table means. */
#include "kernel/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"

static void a_version_is_what_a_release_begins_with(void **state)
{
	static const struct {
		const char *release;
		uint32_t version;
	} cases[] = {
		{"6.12.107+deb13-cloud-amd64", UB_LINUX(6, 12, 107)},
		{"6.12", UB_LINUX(6, 12, 0)},
		{"7.0.0-rc3", UB_LINUX(7, 0, 0)},
		{"7.3~rc7", UB_LINUX(7, 3, 0)},
		{"5.14.0-427.el9.x86_64", UB_LINUX(5, 14, 0)},
		{"", 0},
		{"x", 0},
		{"6.99999999999999999999.1", UB_LINUX(6, 0, 0)},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++)
		if (ub_linux_version(cases[i].release) != cases[i].version)
			fail_msg("'%s'", cases[i].release);
	assert_true(ub_linux_version("6.9.300") < ub_linux_version("6.12"));
}

/* How many of the table's faults a release has, and whether `add` would crash it. */
static unsigned count(const char *release, bool *ret_fatal)
{
	unsigned faults = 0;

	*ret_fatal = false;
	for (const struct ub_known_fault *fault = ub_known_faults; fault->what; fault++) {
		if (!ub_known_fault_has(fault, release))
			continue;
		faults++;
		*ret_fatal |= fault->fatal;
	}
	return faults;
}

static void releases_have_the_faults_of_the_table(void **state)
{
	static const struct {
		const char *release;
		unsigned faults;
		bool fatal;
	} cases[] = {
		/* One of 6.16 to 6.19 is in each of these besides. */
		{"6.18.4", 2, true},
		{"6.18.5", 2, true},
		{"6.17.0-1015-azure", 3, true},
		{"6.17.0-1017-aws", 3, true},
		{"6.17.0-1016-gcp", 2, false},
		{"6.18.5+deb14-amd64", 2, false},
		{"6.18.4-200.fc43.x86_64", 2, false},
		{"6.17.0-35-generic", 2, false},
		{"6.17.0-40-generic", 2, false},
		{"6.17.0-34-generic", 1, false},
		{"6.17.0-41-generic", 1, false},
		{"6.18.6", 1, false},
		{"6.18.44", 1, false},
		{"6.18.50", 1, false},
		{"6.19.14", 1, false},
		{"6.12.107+deb13-amd64", 1, false},
		{"6.13.1", 0, false},
		{"7.0.13", 1, false},
		{"7.1.13", 0, false},
		{"7.2.6", 1, false},
		{"7.3.4+deb13-amd64", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(cases); i++) {
		bool fatal;
		unsigned faults = count(cases[i].release, &fatal);

		if (faults != cases[i].faults || fatal != cases[i].fatal)
			fail_msg("'%s': %u, %d", cases[i].release, faults, fatal);
	}
}

static void every_fault_has_a_source_and_a_way_out(void **state)
{
	(void)state;
	for (const struct ub_known_fault *fault = ub_known_faults; fault->what; fault++) {
		assert_true(fault->source && *fault->source);
		assert_true(fault->way && *fault->way);
		assert_true(fault->releases || fault->first < fault->fixed);
		/* A range is never enough to refuse by. */
		assert_true(!fault->fatal || fault->releases);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_is_what_a_release_begins_with),
		cmocka_unit_test(releases_have_the_faults_of_the_table),
		cmocka_unit_test(every_fault_has_a_source_and_a_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
