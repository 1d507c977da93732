/* SPDX-License-Identifier: MIT */
/* Which device a file or a disk belongs to. */
#include "record_folder.h"

#include <errno.h>

static void a_backing_that_is_served_is_found(void **state)
{
	static const char key[] = ".index/file-18446744073709551615-18446744073709551614";
	char path[] = "/other";
	struct ub_backing b = {.path = path, .dev = UINT64_MAX, .ino = UINT64_MAX - 1};
	uint32_t id = 0;
	char junk[192];

	(void)state;
	there = 7;
	assert_int_equal(find(&b, &id), 0);
	write_record(1048575, 7, "/a");
	write_record(0, 8, "/a");
	(void)snprintf(junk, sizeof(junk), "%s/5.json", dir);
	assert_int_equal(mkfifo(junk, 0644), 0);
	(void)snprintf(junk, sizeof(junk), "%s/%s/5", dir, key);
	assert_int_equal(mkdir(junk, 0755), 0);
	(void)snprintf(junk, sizeof(junk), "%s/%s/6", dir, key);
	assert_int_equal(mkfifo(junk, 0644), 0);
	(void)snprintf(junk, sizeof(junk), "%s/%s/01048575", dir, key);
	assert_int_equal(symlink("1048575", junk), 0);

	assert_int_equal(find(&b, &id), 1);
	assert_int_equal(id, 1048575);
	b.ino--;
	assert_int_equal(find(&b, &id), 0);
	b.ino++;
	there = 9;
	assert_int_equal(find(&b, &id), 0);
}

static void a_range_or_an_inode_number_of_old_claims_nothing_else(void **state)
{
	char path[] = "/a", handle[] = "1:02";
	struct ub_backing b = {
		.path = path, .dev = UINT64_MAX, .ino = UINT64_MAX - 1, .handle = handle};
	struct ub_record r = make_record(4, path);
	uint32_t id;

	(void)state;
	there = TOKEN;
	r.backings.at[0].handle = strdup("1:02");
	r.backings.at[0].offset = 4096;
	r.backings.at[0].length = 4096;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(find(&b, &id), 1);
	b.length = 4096;
	assert_int_equal(find(&b, &id), 0);
	b.length = 4097;
	assert_int_equal(find(&b, &id), 1);
	b.offset = 8192;
	assert_int_equal(find(&b, &id), 0);
	b.offset = 8191;
	assert_int_equal(find(&b, &id), 1);
	handle[3] = '3';
	assert_int_equal(find(&b, &id), 0);
	ub_record_done(&r);
}

/* Of what an anonymous device number, an inode number, or a disk's, says nothing. */
static void a_backing_is_found_under_numbers_that_have_changed(void **state)
{
	char path[] = "/a", text[] = "1:02";
	struct ub_record r = make_record(4, path);
	struct ub_backing b = {.path = path};
	uint32_t id;

	(void)state;
	there = TOKEN;
	r.backings.at[0].dev = 40;
	r.backings.at[0].handle = strdup(text);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b.dev = 41;
	b.handle = text;
	assert_int_equal(find(&b, &id), 1);

	r.backings.at[0].unsteady = true;
	r.backings.at[0].real = strdup("/real");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b.unsteady = true;
	b.handle = NULL;
	b.ino = 99;
	assert_int_equal(find(&b, &id), 0);
	b.real = r.backings.at[0].real;
	assert_int_equal(find(&b, &id), 1);

	r.backings.at[0].rdev = 64;
	r.backings.at[0].disk_id = strdup(text);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b = (struct ub_backing){.path = path, .rdev = 65, .disk_id = text};
	assert_int_equal(find(&b, &id), 1);
	ub_record_done(&r);
}

static bool is_found(struct ub_backing b)
{
	char path[] = "/elsewhere";
	uint32_t id;

	b.path = path;
	return find(&b, &id) == 1;
}

/* It has the kernel's numbers alone, which tell which folder of the index it is in. */
static void one_of_an_older_version_is_found_by_a_newer_ones_marks(void **state)
{
	char text[] = "1:02", real[] = "/real";
	struct ub_record r = make_record(4, "/a");

	(void)state;
	there = TOKEN;
	r.backings.at[0].dev = 40; /* of btrfs */
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_true(is_found((struct ub_backing){.dev = 40,
						 .ino = r.backings.at[0].ino,
						 .handle = text,
						 .born_ns = 5,
						 .real = real}));
	assert_true(is_found((struct ub_backing){.dev = 40,
						 .ino = r.backings.at[0].ino,
						 .handle = text,
						 .real = real,
						 .unsteady = true}));
	assert_false(is_found((struct ub_backing){.dev = 40, .ino = 7, .handle = text}));
	r.backings.at[0].rdev = 64;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_true(is_found((struct ub_backing){.rdev = 64, .diskseq = 9, .disk_id = text}));
	assert_false(is_found((struct ub_backing){.rdev = 65, .diskseq = 9, .disk_id = text}));
	ub_record_done(&r);
}

static void one_whose_numbers_are_invented_is_found_by_whatever_stayed(void **state)
{
	char handle[] = "1:02", other[] = "1:03", moved[] = "/moved";
	struct ub_record r = make_record(4, "/a");

	(void)state;
	there = TOKEN;
	r.backings.at[0].dev = 40;
	r.backings.at[0].unsteady = true;
	r.backings.at[0].handle = strdup(handle);
	r.backings.at[0].real = strdup("/real");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	/* Through another mount, which has a number of its own. */
	assert_true(is_found((struct ub_backing){
		.dev = 41, .ino = 9, .unsteady = true, .handle = handle, .real = moved}));
	assert_false(is_found((struct ub_backing){
		.dev = 41, .ino = 9, .unsteady = true, .handle = other, .real = moved}));
	/* Renamed, where a time of birth is kept. */
	r.backings.at[0].born_ns = 5;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_true(is_found((struct ub_backing){.dev = 40,
						 .ino = 9,
						 .unsteady = true,
						 .handle = other,
						 .real = moved,
						 .born_ns = 5}));
	ub_record_done(&r);
}

static void entries_go_when_a_recovery_finds_it_elsewhere(void **state)
{
	struct ub_record r = make_record(4, "/a");

	(void)state;
	there = TOKEN;
	r.backings.at[0].unsteady = true;
	r.backings.at[0].real = strdup("/real");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(count_entries(), 3);
	free(r.backings.at[0].real);
	r.backings.at[0].real = strdup("/moved");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(count_entries(), 3);
	assert_true(is_found(r.backings.at[0]));
	assert_int_equal(ub_record_remove(4, TOKEN), 0);
	assert_int_equal(count_entries(), 0);
	ub_record_done(&r);
}

/* As a newer version may have left it: a recovery by that one would overwrite what is added now. */
static void one_that_cannot_be_used_claims_what_it_stands_for(void **state)
{
	struct ub_backing b = {.dev = UINT64_MAX, .ino = UINT64_MAX - 1, .writable = true};
	uint32_t id;
	FILE *f;

	(void)state;
	write_record(3, 7, "/a");
	f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs("{\"schema\":\"ublk.record/9\",\"id\":3,\"token\":\"0x7\"}", f) >= 0);
	assert_int_equal(fclose(f), 0);
	there = 7;
	assert_true(is_found(b));
	assert_int_equal(claim("disk", &id), -EEXIST);
	there = 8;
	assert_false(is_found(b));
	release("disk", claim("disk", &id));
}

static void readers_share_a_backing_and_nodes_of_one_device_are_one(void **state)
{
	struct ub_record r = make_record(4, "/dev/a");
	char path[] = "/dev/b";
	struct ub_backing b = {.path = path, .dev = 1, .ino = 2, .rdev = 259};
	uint32_t id;

	(void)state;
	there = TOKEN;
	r.backings.at[0].rdev = 259;
	r.backings.at[0].writable = false;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	ub_record_done(&r);
	assert_int_equal(find(&b, &id), 0);
	b.writable = true;
	assert_int_equal(find(&b, &id), 1);
	assert_int_equal(id, 4);
}

static void each_of_several_backings_is_found_and_its_entries_go(void **state)
{
	struct ub_record r = make_record(4, "/a");

	(void)state;
	there = TOKEN;
	r.backings.at[r.backings.count++] = (struct ub_backing){
		.path = strdup("/b"), .dev = 1, .ino = 2, .offset = 4096, .length = 4096};
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(count_entries(), 3);
	assert_true(is_found(r.backings.at[0]));
	r.backings.at[1].writable = true;
	assert_true(is_found(r.backings.at[1]));
	r.backings.at[1].offset = 0;
	assert_false(is_found(r.backings.at[1]));
	/* It has one alone from now on. */
	ub_backing_done(&r.backings.at[--r.backings.count]);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(count_entries(), 2);
	assert_int_equal(ub_record_remove(4, TOKEN), 0);
	assert_int_equal(count_entries(), 0);
	ub_record_done(&r);
}

/* A record is input: it may say of a backing what no backing is all at once. */
static void whatever_a_record_says_has_room(void **state)
{
	struct ub_record r = make_record(4, "/0");

	(void)state;
	there = TOKEN;
	r.spec.name = strdup("all");
	ub_backing_done(&r.backings.at[0]);
	for (r.backings.count = 0; r.backings.count < UB_BACKINGS_MAX; r.backings.count++) {
		char text[] = {'/', (char)('0' + r.backings.count), 0};

		r.backings.at[r.backings.count] = (struct ub_backing){
			.path = strdup(text),
			.real = strdup(text),
			.handle = strdup(text),
			.disk_id = strdup(text),
			.dev = 1,
			.ino = r.backings.count + 1,
			.born_ns = r.backings.count + 1,
			.unsteady = true,
		};
	}
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(count_entries(), 5 * UB_BACKINGS_MAX + 1);
	assert_int_equal(ub_record_remove(4, TOKEN), 0);
	assert_int_equal(count_entries(), 0);
	ub_record_done(&r);
}

static void an_entry_that_is_left_over_claims_nothing(void **state)
{
	char path[] = "/a";
	struct ub_backing b = {
		.path = path, .dev = UINT64_MAX, .ino = UINT64_MAX - 1, .writable = true};
	struct ub_record r = make_record(3, "/b");
	uint32_t id;

	(void)state;
	there = TOKEN;
	/* The entry without its record, and then with another one's. */
	write_record(3, TOKEN, path);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(find(&b, &id), 0);
	r.backings.at[0].ino = 5;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(find(&b, &id), 0);
	b.ino = 5;
	assert_int_equal(find(&b, &id), 1);
	assert_int_equal(ub_record_remove(3, TOKEN), 0);
	assert_int_equal(find(&b, &id), 0);
	ub_record_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backing_that_is_served_is_found),
		TEST(a_range_or_an_inode_number_of_old_claims_nothing_else),
		TEST(a_backing_is_found_under_numbers_that_have_changed),
		TEST(one_of_an_older_version_is_found_by_a_newer_ones_marks),
		TEST(one_whose_numbers_are_invented_is_found_by_whatever_stayed),
		TEST(entries_go_when_a_recovery_finds_it_elsewhere),
		TEST(one_that_cannot_be_used_claims_what_it_stands_for),
		TEST(readers_share_a_backing_and_nodes_of_one_device_are_one),
		TEST(each_of_several_backings_is_found_and_its_entries_go),
		TEST(whatever_a_record_says_has_room),
		TEST(an_entry_that_is_left_over_claims_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
