/* SPDX-License-Identifier: MIT */
/* Where a control group is found by the mounts that there are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clean.h"
#include "budget/cgroup.h"

#define ROOT_FS "22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n"
#define V1 "30 29 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"

static void check(const char *mounts, const char *group, const char *path, int top)
{
	_cleanup_fclose_ FILE *file = fmemopen((char *)(uintptr_t)mounts, strlen(mounts), "r");
	char buf[256];

	assert_non_null(file);
	assert_int_equal(ub_cgroup_find(file, group, buf, sizeof(buf)), top);
	if (top >= 0)
		assert_string_equal(buf, path);
}

static void a_group_lies_below_the_mount(void **state)
{
	(void)state;
	check(ROOT_FS "29 22 0:25 / /sys/fs/cgroup rw shared:8 - cgroup2 cgroup2 rw\n", "/a/b",
	      "/sys/fs/cgroup/a/b", 14);
	check(ROOT_FS V1 "29 22 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/a",
	      "/sys/fs/cgroup/unified/a", 22);
	check("29 22 0:25 / /with\\040blank rw - cgroup2 none rw\n", "/a", "/with blank/a", 11);
}

static void the_root_of_a_namespace_is_the_mount_itself(void **state)
{
	(void)state;
	check("29 22 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/", "/sys/fs/cgroup", 14);
	check("29 22 0:25 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/box", "/sys/fs/cgroup",
	      14);
}

static void a_mount_may_show_a_part_of_the_tree(void **state)
{
	(void)state;
	check("29 22 0:25 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/box/a",
	      "/sys/fs/cgroup/a", 14);
	check("29 22 0:25 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/boxer", NULL, -ENOENT);
}

static void outside_of_the_namespace_paths_go_up(void **state)
{
	(void)state;
	check("29 22 0:25 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/../a",
	      "/sys/fs/cgroup/a", 14);
	check("29 22 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/../a", NULL, -ENOENT);
	check("29 22 0:25 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/a", NULL, -ENOENT);
}

static void what_is_no_such_mount_is_passed_over(void **state)
{
	(void)state;
	check("\n - cgroup2 \n29 - cgroup2 x\n29 22 0:25 / - cgroup2 x\n" V1 ROOT_FS, "/a", NULL,
	      -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_lies_below_the_mount),
		cmocka_unit_test(the_root_of_a_namespace_is_the_mount_itself),
		cmocka_unit_test(a_mount_may_show_a_part_of_the_tree),
		cmocka_unit_test(outside_of_the_namespace_paths_go_up),
		cmocka_unit_test(what_is_no_such_mount_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
