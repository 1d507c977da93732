/* SPDX-License-Identifier: MIT */
/* A record as a file: whole or not at all. */
#include "record_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

static void what_is_written_is_read(void **state)
{
	mode_t mask = umask(077);
	struct stat st;

	(void)state;
	assert_int_equal(read_it(), -ENOENT);
	write_record(3, 1, ODD_PATH);
	write_record(3, 2, ODD_PATH);
	(void)umask(mask);
	assert_int_equal(read_it(), 0);
	assert_int_equal(record.token, 2);
	assert_string_equal(record.backings.at[0].path, ODD_PATH);
	/* It says nothing of a device that had the number before. */
	ub_record_done(&record);
	written = 1;
	assert_int_equal(read_it(), -ENOENT);
	assert_int_equal(count_files(), 1);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void only_its_own_token_removes_it(void **state)
{
	(void)state;
	assert_int_equal(ub_record_remove(3, 1), 0);
	write_record(3, 1, "/a");
	assert_int_equal(ub_record_remove(3, 2), 0);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(count_entries(), 2);
	assert_int_equal(ub_record_remove(3, 1), 0);
	assert_int_not_equal(access(file, F_OK), 0);
	assert_int_equal(count_entries(), 0);
	assert_int_equal(ub_record_remove(3, 1), 0);
	/* Other programs' devices have no token. */
	write_record(3, 0, "/a");
	assert_int_equal(ub_record_remove(3, 0), 0);
	assert_int_equal(access(file, F_OK), 0);
}

/* As a newer version may have left it. */
static void one_that_cannot_be_used_goes_with_its_device_too(void **state)
{
	static const char text[] = "{\"schema\":\"ublk.record/9\",\"id\":3,\"token\":\"0x7\"}";
	struct ub_error err = {0};
	FILE *f;

	(void)state;
	write_record(3, 1, "/a");
	f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
	assert_int_equal(ub_record_read(3, 7, &record, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "cannot use the record of ublkb3: schema is not"));
	assert_int_equal(ub_record_remove(3, 1), -EBADMSG);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(ub_record_remove(3, 7), 0);
	assert_int_not_equal(access(file, F_OK), 0);
}

/* As one leaves it who is killed while he writes. */
static void leave_half(void)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/.3.0123abcd.new", dir);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
}

static void check_nothing_is_left(void)
{
	DIR *d = opendir(dir);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, ".lock") != 0 && strcmp(e->d_name, ".index") != 0)
			fail_msg("%s is left", e->d_name);
	(void)closedir(d);
}

static void nothing_is_left_of_one_that_is_removed(void **state)
{
	(void)state;
	write_record(3, 1, "/a");
	write_record(3, 1, "/a");
	leave_half();
	assert_int_equal(ub_record_remove(3, 1), 0);
	check_nothing_is_left();
	/* He was killed before there was a record. */
	leave_half();
	assert_int_equal(ub_record_remove(3, 1), 0);
	check_nothing_is_left();
	/* Another one's. */
	write_record(33, 1, "/a");
	leave_half();
	assert_int_equal(ub_record_remove(3, 1), 0);
	assert_int_equal(count_files(), 1);
	assert_int_equal(ub_record_remove(33, 1), 0);
	check_nothing_is_left();
}

static void fill_up(const char *name)
{
	char path[96];
	static char block[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	ub_close(&fd);
}

static void free_a_page(void)
{
	char path[96];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/full", base);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 4096), 0);
}

/* A write that failed must not be forgotten because there was no room to note it. */
static void a_full_file_system_keeps_no_news_out(void **state)
{
	char path[96];
	int ret, pages = 0;

	(void)state;
	if (geteuid() != 0 || mount("none", base, "tmpfs", 0, "size=64k") != 0)
		skip();
	write_record(3, 1, "/a");
	fill_up("full");
	for (uint64_t token = 2; token < 20; token++) {
		write_record(3, token, "/a");
		assert_int_equal(read_it(), 0);
		assert_int_equal(record.token, token);
		ub_record_done(&record);
	}
	/* Somebody else was faster: one more, and then as it was. */
	(void)snprintf(path, sizeof(path), "%s/.3.spare", dir);
	assert_int_equal(unlink(path), 0);
	fill_up("more");
	assert_int_equal(write_it(), -ENOSPC);
	assert_int_equal(read_it(), 0);
	assert_int_equal(record.token, 19);
	/* A new one needs room for both. */
	assert_int_equal(ub_record_remove(3, 19), 0);
	fill_up("more");
	while ((ret = write_it()) == -ENOSPC) {
		assert_int_equal(count_files(), 0);
		free_a_page();
		pages++;
	}
	assert_int_equal(ret, 0);
	assert_true(pages >= 2);
	assert_int_equal(umount2(base, MNT_DETACH), 0);
}

static void a_file_that_is_no_record_is_refused(void **state)
{
	int fd;

	(void)state;
	write_record(3, 1, "/a");
	assert_int_equal(truncate(file, 100), 0);
	assert_int_equal(read_it(), -EBADMSG);
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(read_it(), -EBADMSG);
	assert_int_equal(truncate(file, (off_t)1 << 40), 0);
	assert_int_equal(read_it(), -EBADMSG);
	fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "{}", 2), 2);
	ub_close(&fd);
	assert_int_equal(read_it(), -EBADMSG);
}

static bool write_often(void)
{
	int failed = 0;

	for (int i = 0; i < 50; i++)
		failed |= write_it();
	return failed == 0;
}

static void writers_at_the_same_time_leave_one_whole_record(void **state)
{
	(void)state;
	assert_int_equal(write_it(), 0);
	start_children(4, write_often);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(read_it(), 0);
		ub_record_done(&record);
	}
	end_children(4);
	assert_int_equal(count_files(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(only_its_own_token_removes_it),
		TEST(one_that_cannot_be_used_goes_with_its_device_too),
		TEST(nothing_is_left_of_one_that_is_removed),
		TEST(a_full_file_system_keeps_no_news_out),
		TEST(a_file_that_is_no_record_is_refused),
		TEST(writers_at_the_same_time_leave_one_whole_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
