/* SPDX-License-Identifier: MIT */
/* Nothing is believed of a record that another may have put there. */
#include "record_folder.h"

#define OTHER_USER 65534

static void a_link_in_its_place_is_not_followed(void **state)
{
	char other[96];

	(void)state;
	write_record(3, 1, "/a");
	(void)snprintf(other, sizeof(other), "%s/other.json", base);
	assert_int_equal(rename(file, other), 0);
	assert_int_equal(symlink(other, file), 0);
	unsafe(read_it);
	/* Written over, the link itself is replaced. */
	write_record(3, 2, "/b");
	assert_int_equal(read_it(), 0);
	assert_int_equal(record.token, 2);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rename(other, file), 0);
	ub_record_done(&record);
	written = 1;
	assert_int_equal(read_it(), 0);
}

static void a_link_in_the_directorys_place_is_refused(void **state)
{
	char other[96];

	(void)state;
	write_record(3, 1, "/a");
	(void)snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(rename(dir, other), 0);
	assert_int_equal(symlink(other, dir), 0);
	unsafe(read_it);
	unsafe(write_it);
	(void)snprintf(other, sizeof(other), "%s/", dir);
	assert_int_equal(setenv("UBLK_RUNTIME_DIR", other, 1), 0);
	unsafe(read_it);
	unsafe(write_it);
}

static void what_others_may_write_is_refused(void **state)
{
	(void)state;
	write_record(3, 1, "/a");
	assert_int_equal(chmod(file, 0646), 0);
	unsafe(read_it);
	assert_int_equal(chmod(file, 0664), 0);
	unsafe(read_it);
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(read_it(), 0);
	assert_int_equal(chmod(dir, 01777), 0);
	unsafe(read_it);
	unsafe(write_it);
	assert_int_equal(chmod(dir, 0775), 0);
	unsafe(read_it);
}

static void what_belongs_to_others_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	write_record(3, 1, "/a");
	assert_int_equal(chown(file, OTHER_USER, 0), 0);
	unsafe(read_it);
	assert_int_equal(chown(file, 0, 0), 0);
	assert_int_equal(chown(dir, OTHER_USER, 0), 0);
	unsafe(read_it);
	unsafe(write_it);
}

static void no_other_kind_of_file_is_read_or_waited_for(void **state)
{
	(void)state;
	write_record(3, 1, "/a");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0644), 0);
	unsafe(read_it);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0755), 0);
	unsafe(read_it);
	assert_true(write_it() < 0);
	assert_int_equal(count_files(), 1);
}

/* A device that nobody can look up would be overlooked. */
static void without_a_safe_index_nothing_is_recorded(void **state)
{
	char index[96];

	(void)state;
	write_record(4, TOKEN, "/a");
	(void)snprintf(index, sizeof(index), "rm -rf %s/.index", dir);
	assert_int_equal(system(index), 0);
	(void)snprintf(index, sizeof(index), "%s/.index", dir);
	assert_int_equal(symlink(base, index), 0);
	unsafe(write_it);
	assert_non_null(strstr(why, index));
	assert_int_equal(count_files(), 1);
	assert_int_equal(unlink(index), 0);
	assert_int_equal(mkdir(index, 0777), 0);
	assert_int_equal(chmod(index, 0777), 0);
	unsafe(write_it);
	assert_non_null(strstr(why, index));
	assert_int_equal(count_files(), 1);
}

static void the_directory_is_the_users_own(void **state)
{
	char buf[64], tiny[4];

	(void)state;
	assert_null(ub_record_dir(tiny, sizeof(tiny)));
	assert_string_equal(ub_record_dir(buf, sizeof(buf)), dir);
	assert_int_equal(setenv("UBLK_RUNTIME_DIR", "relative", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/1", 1), 0);
	assert_string_equal(ub_record_dir(buf, sizeof(buf)),
			    geteuid() ? "/run/user/1/ublk" : "/run/ublk");
	assert_int_equal(setenv("UBLK_RUNTIME_DIR", dir, 1), 0);
	assert_int_equal(ub_record_dir_settle(), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/2", 1), 0);
	assert_string_equal(ub_record_dir(buf, sizeof(buf)), dir);
}

/* One who is not logged in, so without a folder of his own, until he is. */
static uid_t cron_user;

static bool add_and_log_in(void)
{
	struct ub_backing b = {
		.path = (char *)"/a", .dev = UINT64_MAX, .ino = UINT64_MAX - 1, .writable = true};
	struct ub_record r = make_record(3, "/a");
	uint32_t id;

	there = r.token;
	if (unsetenv("UBLK_RUNTIME_DIR") != 0 || unsetenv("XDG_RUNTIME_DIR") != 0 ||
	    ub_record_write(&r, NULL) != 0 || setenv("XDG_RUNTIME_DIR", base, 1) != 0)
		return false;
	/* Of an earlier device, which somebody else has removed. */
	r.token++;
	if (ub_record_write(&r, NULL) != 0 || ub_record_read(3, there, &record, NULL) != 0)
		return false;
	if (find(&b, &id) != 1 || claim("disk", &id) != -EEXIST)
		return false;
	return ub_record_remove(3, there) == 0 &&
	       ub_record_read(3, there, &record, NULL) == -ENOENT && find(&b, &id) == 0;
}

static bool cron_job(void)
{
	return setresuid(cron_user, cron_user, cron_user) == 0 && add_and_log_in();
}

static void records_of_who_was_not_logged_in_are_found_when_he_is(void **state)
{
	char command[64];

	(void)state;
	if (geteuid() != 0)
		skip();
	cron_user = 2000000 + (uid_t)getpid();
	(void)snprintf(command, sizeof(command), "rm -rf /tmp/ublk-%u", cron_user);
	assert_int_equal(system(command), 0);
	assert_int_equal(chown(base, cron_user, 0), 0);
	start_children(1, cron_job);
	end_children(1);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_link_in_its_place_is_not_followed),
		TEST(a_link_in_the_directorys_place_is_refused),
		TEST(what_others_may_write_is_refused),
		TEST(what_belongs_to_others_is_refused),
		TEST(no_other_kind_of_file_is_read_or_waited_for),
		TEST(without_a_safe_index_nothing_is_recorded),
		TEST(the_directory_is_the_users_own),
		TEST(records_of_who_was_not_logged_in_are_found_when_he_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
