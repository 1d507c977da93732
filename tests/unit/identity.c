/* SPDX-License-Identifier: MIT */
/* What a backing is known again by, and what is not enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "target/identity.h"

static struct ub_backing was, is;

/* An ext4 file, twice. */
static int setup(void **state)
{
	(void)state;
	was = (struct ub_backing){
		.path = (char *)"/srv/a.img",
		.real = (char *)"/srv/a.img",
		.dev = makedev(8, 1),
		.ino = 12,
		.size = 1 << 20,
		.handle = (char *)"1:0c00000012345678",
		.handle_opens = true,
		.born_ns = 1764115200123456789,
		.fsid = 77,
	};
	is = was;
	return 0;
}

static void same(bool expected)
{
	assert_int_equal(ub_backing_is_same(&is, &was), expected);
	assert_int_equal(ub_backing_is_same(&was, &is), expected);
}

static void its_name_and_size_do_not_matter(void **state)
{
	(void)state;
	is.path = is.real = (char *)"/elsewhere";
	is.size = 1 << 30;
	same(true);
	assert_int_equal(ub_backing_known_by(&is), UB_BY_HANDLE);
}

static void a_new_file_with_an_old_inode_number_is_another(void **state)
{
	(void)state;
	is.handle = (char *)"1:0c00000012345679";
	same(false);
	/* Nor does the same generation help, where there are none but zero. */
	is.handle = was.handle;
	is.born_ns++;
	same(false);
	/* An older record has the number alone. */
	was.handle = NULL;
	was.born_ns = 0;
	same(true);
	is.ino++;
	same(false);
}

static void another_disk_is_another_file_system_and_a_new_mount_is_not(void **state)
{
	(void)state;
	is.dev = makedev(8, 2); /* a snapshot has all else in common */
	same(false);
	is.dev = makedev(0, 40);
	was.dev = makedev(0, 41);
	same(true);
	is.fsid++;
	same(false);
	is.fsid = 0;
	same(true);
}

static void numbers_that_a_file_system_invents_say_nothing(void **state)
{
	(void)state;
	is.unsteady = was.unsteady = true;
	is.dev = was.dev = makedev(0, 40);
	is.ino++;
	is.handle = (char *)"129:00";
	same(true);
	assert_int_equal(ub_backing_known_by(&is), UB_BY_BIRTH);
	is.born_ns++;
	same(false);
	/* Without a time of birth it has to lie where it lay. */
	is.born_ns = was.born_ns = 0;
	assert_int_equal(ub_backing_known_by(&is), UB_BY_PATH);
	same(true);
	is.path = (char *)"/srv/link";
	same(true);
	is.real = (char *)"/srv/b.img";
	same(false);
	is.real = NULL;
	same(false);
	is.handle = was.handle;
	same(true);
}

static void a_disk_is_not_its_number(void **state)
{
	(void)state;
	was = (struct ub_backing){
		.path = (char *)"/dev/loop0", .rdev = makedev(7, 0), .diskseq = 25};
	same(false);
	is = was;
	is.path = (char *)"/dev/other-node";
	is.dev = is.ino = 99;
	same(true);
	assert_int_equal(ub_backing_known_by(&is), UB_BY_DISK);
	is.diskseq = 26;
	same(false);
	is.diskseq = 0;
	same(true);
	assert_int_equal(ub_backing_known_by(&is), UB_BY_NUMBER);
	is.rdev = makedev(7, 1);
	same(false);
}

static void a_disk_with_a_name_of_its_own_comes_back_under_another_number(void **state)
{
	(void)state;
	was = (struct ub_backing){
		.path = (char *)"/dev/vg/lv",
		.rdev = makedev(253, 0),
		.diskseq = 25,
		.disk_id = (char *)"LVM-abc/0",
	};
	is = was;
	is.rdev = makedev(253, 3);
	is.diskseq = 31;
	same(true);
	is = was;
	is.disk_id = (char *)"LVM-abd/0";
	same(false);
}

static void ranges_overlap_where_they_have_a_byte_in_common(void **state)
{
	(void)state;
	was.offset = 4096;
	was.length = 4096;
	is.offset = 8192;
	is.length = 1;
	assert_false(ub_backing_overlaps(&is, &was));
	assert_false(ub_backing_overlaps(&was, &is));
	is.offset--;
	assert_true(ub_backing_overlaps(&is, &was));
	assert_true(ub_backing_overlaps(&was, &is));
	is.offset = 0;
	is.length = 4096;
	assert_false(ub_backing_overlaps(&is, &was));
	is.length = 0; /* not known */
	assert_true(ub_backing_overlaps(&is, &was));
}

static void it_is_told_in_words(void **state)
{
	char buf[100];

	(void)state;
	was.born_ns = 0;
	assert_string_equal(ub_backing_describe(&was, buf, sizeof(buf)), "inode 12 on 8:1");
	assert_non_null(strstr(ub_backing_describe(&is, buf, sizeof(buf)), "born 2025-11-2"));
	assert_non_null(strstr(buf, ".123"));
	is = (struct ub_backing){.rdev = makedev(7, 0), .diskseq = 25};
	assert_string_equal(ub_backing_describe(&is, buf, sizeof(buf)),
			    "disk 7:0 with sequence number 25");
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_name_and_size_do_not_matter),
		TEST(a_new_file_with_an_old_inode_number_is_another),
		TEST(another_disk_is_another_file_system_and_a_new_mount_is_not),
		TEST(numbers_that_a_file_system_invents_say_nothing),
		TEST(a_disk_is_not_its_number),
		TEST(a_disk_with_a_name_of_its_own_comes_back_under_another_number),
		TEST(ranges_overlap_where_they_have_a_byte_in_common),
		TEST(it_is_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
