/* SPDX-License-Identifier: MIT */
/* Who uses a device, out of the kernel's tables as they look. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clean.h"
#include "base/parse.h"
#include "device/users_internal.h"
#include "kernel/node.h"

static struct ub_node list[] = {
	{.name = "ublkb0", .major = 259, .minor = 0},
	{.name = "ublkb0p1", .major = 259, .minor = 11},
};
static const struct ub_nodes nodes = {.list = list, .count = UB_ARRAY_SIZE(list)};
static struct ub_users users;

static int teardown(void **state)
{
	(void)state;
	ub_users_done(&users);
	return 0;
}

static void read_text(int (*read)(FILE *file, const struct ub_nodes *nodes, struct ub_users *users),
		      const char *text)
{
	_cleanup_fclose_ FILE *file = fmemopen((char *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(file);
	assert_int_equal(read(file, &nodes, &users), 0);
}

static void check(size_t i, enum ub_user_kind kind, const char *device, const char *what)
{
	assert_true(i < users.count);
	assert_int_equal(users.list[i].kind, kind);
	assert_string_equal(users.list[i].device, device);
	assert_string_equal(users.list[i].what, what);
}

static void mounts_are_found_by_number(void **state)
{
	(void)state;
	read_text(ub_users_read_mounts,
		  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		  "40 22 259:0 / /mnt rw - ext4 /dev/whatever rw\n"
		  "41 22 259:11 /sub /mnt/part rw shared:2 master:1 - xfs /dev/ublkb0p1 rw\n"
		  "42 22 259:1 / /no rw - ext4 /dev/ublkb1 rw\n"
		  "43 22 2590:0 / /no rw - ext4 /dev/x rw\n"
		  "44 22 59:0 / /no rw - ext4 /dev/x rw\n");
	assert_int_equal(users.count, 2);
	check(0, UB_USER_MOUNT, "ublkb0", "/mnt");
	check(1, UB_USER_MOUNT, "ublkb0p1", "/mnt/part");
}

static void a_file_system_over_several_devices_is_found_by_its_source(void **state)
{
	(void)state;
	read_text(ub_users_read_mounts, "40 22 0:44 / /pool rw shared:9 - btrfs /dev/ublkb0p1 rw\n"
					"41 22 0:45 / /proc rw - proc proc rw\n"
					"42 22 0:46 / /nfs rw - nfs server:/dev/ublkb0 rw\n");
	assert_int_equal(users.count, 1);
	check(0, UB_USER_MOUNT, "ublkb0p1", "/pool");
}

static void escapes_are_undone(void **state)
{
	char text[] = "a\\040b\\011\\012\\134c\\377\\400\\04\\x\\";

	(void)state;
	ub_unescape_octal(text);
	assert_string_equal(text, "a b\t\n\\c\xff\\400\\04\\x\\");
	read_text(ub_users_read_mounts,
		  "40 22 259:0 / /a\\040b\\012-\\134040 rw - ext4 /dev/x\\040y rw\n");
	check(0, UB_USER_MOUNT, "ublkb0", "/a b\n-\\040");
}

static void odd_lines_are_passed_over(void **state)
{
	(void)state;
	read_text(ub_users_read_mounts, "\n \n40\n40 22 259:0\n40 22 259 / /a rw\n"
					"40 22 259: / /a rw\n40 22 :0 / /a rw\n40 22 x:y / /a rw\n"
					"40 22 0:1 / /a rw -\n40 22 0:1 / /a rw - btrfs\n");
	assert_int_equal(users.count, 0);
	/* Without its end. */
	read_text(ub_users_read_mounts, "40 22 259:0 / /a rw");
	assert_int_equal(users.count, 1);
}

static void a_long_mount_point_is_cut(void **state)
{
	char text[1024], point[600], said[UB_USER_TEXT_SIZE];

	(void)state;
	memset(point, 'p', sizeof(point) - 1);
	point[0] = '/';
	point[sizeof(point) - 1] = '\0';
	(void)snprintf(text, sizeof(text), "40 22 259:0 / %s rw - ext4 /dev/x rw\n", point);
	read_text(ub_users_read_mounts, text);
	assert_int_equal(strlen(users.list[0].what), sizeof(users.list[0].what) - 1);
	assert_false(ub_user_is_whole(&users.list[0]));
	(void)ub_user_describe(&users.list[0], said, sizeof(said));
	assert_non_null(strstr(said, "ppp... (ublkb0)"));
	assert_int_equal(ub_users_add(&users, UB_USER_MOUNT, "ublkb0", "/mnt", 0), 0);
	assert_true(ub_user_is_whole(&users.list[1]));
}

static void limit_descriptors(int count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void what_cannot_be_asked_is_no_answer(void **state)
{
	struct ub_node none = {.name = "loop0", .major = 4000, .minor = 9};
	const struct ub_nodes others = {.list = &none, .count = 1};
	struct ub_users_query query = {.id = 1048575};
	struct ub_nodes found = {0};
	struct rlimit before;
	int results[5], first = dup(0);

	(void)state;
	(void)close(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit_descriptors(first);
	results[0] = ub_users_find(1048575, 0, &users);
	results[1] = ub_nodes_add(&query, &found);
	results[2] = ub_users_find_holders(&others, &users);
	results[3] = ub_users_find_openers(&others, &users);
	limit_descriptors(first + 1);
	results[4] = ub_users_find_openers(&others, &users);
	(void)setrlimit(RLIMIT_NOFILE, &before);
	for (size_t i = 0; i < UB_ARRAY_SIZE(results); i++)
		assert_int_equal(results[i], -EMFILE);
	assert_int_equal(users.count, 0);
}

static void swap_is_found_by_name(void **state)
{
	(void)state;
	read_text(ub_users_read_swaps,
		  "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
		  "/dev/ublkb0p1                           partition\t65532\t\t0\t\t-2\n"
		  "/dev/ublkb0                             file\t\t65532\t\t0\t\t-3\n"
		  "/dev/ublkb01                            partition\t65532\t\t0\t\t-4\n");
	assert_int_equal(users.count, 1);
	check(0, UB_USER_SWAP, "ublkb0p1", "");
}

static void descriptions_say_what_to_look_for(void **state)
{
	const char *disk = "ublkb0";
	char buf[400];

	(void)state;
	assert_int_equal(ub_users_add(&users, UB_USER_MOUNT, disk, "/mnt", 0), 0);
	assert_int_equal(ub_users_add(&users, UB_USER_SWAP, disk, "", 0), 0);
	assert_int_equal(ub_users_add(&users, UB_USER_HOLDER, disk, "dm-0, vg-lv", 0), 0);
	assert_int_equal(ub_users_add(&users, UB_USER_OPENER, disk, "fio", 812), 0);
	assert_int_equal(ub_users_add(&users, UB_USER_CLAIM, disk, "", 0), 0);
	assert_int_equal(ub_users_add(&users, UB_USER_UNSEEN, disk, "", 0), 0);
	assert_string_equal(ub_user_describe(&users.list[0], buf, sizeof(buf)),
			    "mounted on /mnt (ublkb0)");
	assert_string_equal(ub_user_describe(&users.list[1], buf, sizeof(buf)),
			    "used as swap (ublkb0)");
	assert_string_equal(ub_user_describe(&users.list[2], buf, sizeof(buf)),
			    "used by dm-0, vg-lv (ublkb0)");
	assert_string_equal(ub_user_describe(&users.list[3], buf, sizeof(buf)),
			    "open by fio (812)");
	assert_non_null(strstr(ub_user_describe(&users.list[4], buf, sizeof(buf)), "claimed"));
	assert_non_null(strstr(ub_user_describe(&users.list[5], buf, sizeof(buf)), "perhaps open"));
}

static void a_device_that_is_not_there_has_no_users(void **state)
{
	(void)state;
	assert_int_equal(ub_users_find(1048575, 0, &users), 0);
	assert_int_equal(users.count, 0);
}

static void what_processes_have_open_is_looked_through(void **state)
{
	struct ub_node none = {.name = "ublkb9", .major = 4000, .minor = 9};
	const struct ub_nodes others = {.list = &none, .count = 1};

	(void)state;
	assert_int_equal(ub_users_find_openers(&others, &users), 0);
	assert_int_equal(ub_users_find_mappers(&others, &users), 0);
	assert_int_equal(ub_users_find_holders(&others, &users), 0);
	assert_int_equal(users.count, 0);
}

static void only_the_right_node_is_opened(void **state)
{
	char path[] = "/tmp/ublk-node-XXXXXX";
	int fd = mkstemp(path), flags = O_RDONLY | O_CLOEXEC;
	dev_t null = makedev(1, 3);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ub_node_open(AT_FDCWD, path, S_IFBLK, null, flags), -ENOTBLK);
	assert_int_equal(ub_node_open(AT_FDCWD, "/dev/null", S_IFBLK, null, flags), -ENOTBLK);
	assert_int_equal(ub_node_open(AT_FDCWD, "/dev/null", S_IFCHR, makedev(1, 5), flags),
			 -ESTALE);
	assert_int_equal(ub_node_open(AT_FDCWD, "/dev/none", S_IFCHR, null, flags), -ENOENT);
	ub_close(&fd);
	fd = ub_node_open(AT_FDCWD, "/dev/null", S_IFCHR, null, flags);
	assert_true(fd >= 0);
	ub_close(&fd);
	(void)unlink(path);
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mounts_are_found_by_number),
		TEST(a_file_system_over_several_devices_is_found_by_its_source),
		TEST(escapes_are_undone),
		TEST(odd_lines_are_passed_over),
		TEST(a_long_mount_point_is_cut),
		TEST(swap_is_found_by_name),
		TEST(descriptions_say_what_to_look_for),
		TEST(a_device_that_is_not_there_has_no_users),
		TEST(only_the_right_node_is_opened),
		TEST(what_processes_have_open_is_looked_through),
		TEST(what_cannot_be_asked_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
