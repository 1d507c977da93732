/* SPDX-License-Identifier: MIT */
/* Which device has a name, and who may have it. */
#include "record_folder.h"

#include <errno.h>

static void a_name_that_is_taken_is_found(void **state)
{
	struct ub_record r = make_record(4, "/a");
	uint32_t id;

	(void)state;
	there = TOKEN;
	free(r.spec.name);
	r.spec.name = strdup("backup");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	ub_record_done(&r);
	assert_int_equal(claim("backup", &id), -EEXIST);
	assert_int_equal(id, 4);
	release("back", claim("back", &id));
	there = TOKEN + 1;
	release("backup", claim("backup", &id));
}

static void of_two_who_want_a_name_one_gets_it(void **state)
{
	struct ub_record r = make_record(3, "/a"); /* "disk" */
	uint32_t id;
	int lock;

	(void)state;
	there = TOKEN;
	lock = claim("disk", &id);
	assert_int_equal(claim("disk", &id), -EAGAIN);
	release("disk2", claim("disk2", &id));
	/* Its device was not added after all: nothing is left. */
	release("disk", lock);
	assert_int_equal(count_entries(), 0);
	lock = claim("disk", &id);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	release("disk", lock);
	assert_int_equal(claim("disk", &id), -EEXIST);
	assert_int_equal(ub_record_remove(3, TOKEN), 0);
	/* Who removes a device does not take the folder away that somebody has locked. */
	assert_int_equal(ub_record_write(&r, NULL), 0);
	there = 0;
	lock = claim("disk", &id);
	assert_int_equal(ub_record_remove(3, TOKEN), 0);
	assert_int_equal(claim("disk", &id), -EAGAIN);
	release("disk", lock);
	assert_int_equal(count_entries(), 0);
	ub_record_done(&r);
}

/* Takes the name often, and holds it for no time: each time nobody else has it. */
static bool have_it_often(void)
{
	char taken[96];

	(void)snprintf(taken, sizeof(taken), "%s/taken", base);
	for (int had = 0; had < 20; had++) {
		struct ub_error err = {0};
		uint32_t id;
		int lock;

		while ((lock = ub_record_claim_name("disk", &alive, &id, &err)) == -EAGAIN)
			;
		/* Nor does a message stay of what was tried again. */
		if (lock < 0 || err.code || mkdir(taken, 0700) != 0 || rmdir(taken) != 0)
			return false;
		ub_record_release_name("disk", &lock);
	}
	return true;
}

static void a_name_is_never_had_twice(void **state)
{
	(void)state;
	start_children(8, have_it_often);
	end_children(8);
	assert_int_equal(count_entries(), 0);
}

static void one_among_many_is_found_by_file_device_and_name(void **state)
{
	char path[] = "/a", name[16];
	struct ub_backing b = {.path = path, .dev = 1, .writable = true};
	uint32_t id;

	(void)state;
	there = TOKEN;
	for (uint32_t i = 0; i < 100; i++) {
		struct ub_record r = make_record(i, path);

		free(r.spec.name);
		(void)snprintf(name, sizeof(name), "n%u", i);
		r.spec.name = strdup(name);
		r.backings.at[0].dev = 1;
		r.backings.at[0].ino = 7000 + i;
		r.backings.at[0].rdev = i % 2 ? 90000 + i : 0;
		assert_int_equal(ub_record_write(&r, NULL), 0);
		ub_record_done(&r);
	}
	for (uint32_t i = 0; i < 100; i++) {
		/* Another node of the same device has another inode. */
		b.ino = i % 2 ? 1 : 7000 + i;
		b.rdev = i % 2 ? 90000 + i : 0;
		assert_int_equal(find(&b, &id), 1);
		assert_int_equal(id, i);
		(void)snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(claim(name, &id), -EEXIST);
		assert_int_equal(id, i);
	}
	b.ino = 1;
	b.rdev = 0;
	assert_int_equal(find(&b, &id), 0);
	release("n", claim("n", &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_that_is_taken_is_found),
		TEST(of_two_who_want_a_name_one_gets_it),
		TEST(a_name_is_never_had_twice),
		TEST(one_among_many_is_found_by_file_device_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
