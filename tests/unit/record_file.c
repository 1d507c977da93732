/* SPDX-License-Identifier: MIT */
/* A record as a file: whole or not at all, and nothing is believed that another may have put there. */
#include "record/dir.h"
#include "record/store.h"
#include "record_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_USER 65534

static char base[] = "/tmp/ublk-unit-XXXXXX";
static char dir[64], file[96];
static struct ub_record record;

static int setup(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/records", base);
	(void)snprintf(file, sizeof(file), "%s/3.json", dir);
	record = (struct ub_record){0};
	return setenv("UBLK_RUNTIME_DIR", dir, 1);
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	ub_record_done(&record);
	(void)snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static void write_record(uint32_t id, uint64_t token, const char *path)
{
	struct ub_record r = make_record(id, path);
	struct ub_error err = {0};

	r.token = token;
	if (ub_record_write(&r, &err) != 0)
		fail_msg("%s", err.msg);
	ub_record_done(&r);
}

static unsigned count_files(void)
{
	unsigned count = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.' || strstr(e->d_name, ".new");
	(void)closedir(d);
	return count;
}

/* Entries that say where to look for a backing or a name; -1: there have never been any. */
static int count_entries(void)
{
	char index[96];
	int count = 0;
	DIR *d;

	(void)snprintf(index, sizeof(index), "%s/.index", dir);
	d = opendir(index);
	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	(void)closedir(d);
	return count;
}

static char why[600]; /* of the last failure */

static void unsafe(int (*call)(void))
{
	int ret = call();

	if (ret != -EPERM)
		fail_msg("not refused: %d", ret);
}

static int read_it(void)
{
	struct ub_error err = {0};
	int ret = ub_record_read(3, &record, &err);

	assert_int_equal(err.code, ret);
	return ret;
}

static int write_it(void)
{
	struct ub_record r = make_record(3, "/a");
	struct ub_error err = {0};
	int ret = ub_record_write(&r, &err);

	ub_record_done(&r);
	(void)snprintf(why, sizeof(why), "%s", err.msg);
	return ret;
}

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
	assert_string_equal(record.backing.path, ODD_PATH);
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
	assert_int_equal(ub_record_read(3, &record, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "cannot use the record of ublkb3: schema is not"));
	assert_int_equal(ub_record_remove(3, 1), -EBADMSG);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(ub_record_remove(3, 7), 0);
	assert_int_not_equal(access(file, F_OK), 0);
}

static void nothing_is_left_of_one_that_is_removed(void **state)
{
	DIR *d;

	(void)state;
	write_record(3, 1, "/a");
	write_record(3, 1, "/a");
	assert_int_equal(ub_record_remove(3, 1), 0);
	d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, ".lock") != 0 && strcmp(e->d_name, ".index") != 0)
			fail_msg("%s is left", e->d_name);
	(void)closedir(d);
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
	assert_int_equal(read_it(), 0);
	assert_int_equal(record.token, 1);
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

static uint64_t there; /* the token of the device that is there */

static bool is_there(void *arg, uint32_t id, uint64_t token)
{
	assert_ptr_equal(arg, &there);
	(void)id;
	return token == there;
}

static const struct ub_record_alive alive = {.is_there = is_there, .arg = &there};

static int find(struct ub_backing *b, uint32_t *ret_id)
{
	return ub_record_find_claim(b, &alive, ret_id);
}

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
	b.path = NULL;
	there = 7;
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
	r.backing.handle = strdup("1:02");
	r.backing.offset = 4096;
	r.backing.length = 4096;
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
	r.backing.dev = 40;
	r.backing.handle = strdup(text);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b.dev = 41;
	b.handle = text;
	assert_int_equal(find(&b, &id), 1);

	r.backing.unsteady = true;
	r.backing.real = strdup("/real");
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b.unsteady = true;
	b.handle = NULL;
	b.ino = 99;
	assert_int_equal(find(&b, &id), 0);
	b.real = r.backing.real;
	assert_int_equal(find(&b, &id), 1);

	r.backing.rdev = 64;
	r.backing.disk_id = strdup(text);
	assert_int_equal(ub_record_write(&r, NULL), 0);
	b = (struct ub_backing){.path = path, .rdev = 65, .disk_id = text};
	assert_int_equal(find(&b, &id), 1);
	ub_record_done(&r);
}

static void readers_share_a_backing_and_nodes_of_one_device_are_one(void **state)
{
	struct ub_record r = make_record(4, "/dev/a");
	char path[] = "/dev/b";
	struct ub_backing b = {.path = path, .dev = 1, .ino = 2, .rdev = 259};
	uint32_t id;

	(void)state;
	there = TOKEN;
	r.backing.rdev = 259;
	r.backing.writable = false;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	ub_record_done(&r);
	assert_int_equal(find(&b, &id), 0);
	b.writable = true;
	assert_int_equal(find(&b, &id), 1);
	assert_int_equal(id, 4);
}

/* Return: the descriptor, which the caller has to release; or a negative errno. */
static int claim(const char *name, uint32_t *ret_id)
{
	struct ub_error err = {0};
	int ret = ub_record_claim_name(name, &alive, ret_id, &err);

	if (ret < 0 && ret != -EEXIST && ret != -EAGAIN)
		fail_msg("%d: %s", ret, err.msg);
	return ret;
}

static void release(const char *name, int lock)
{
	assert_true(lock >= 0);
	ub_record_release_name(name, &lock);
	assert_int_equal(lock, -1);
}

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

/* Many at once, who hold it for no time: each sees that nobody else has it. */
static void a_name_is_never_had_twice(void **state)
{
	char taken[96];
	int status;

	(void)state;
	(void)snprintf(taken, sizeof(taken), "%s/taken", base);
	for (int i = 0; i < 8; i++) {
		if (fork() != 0)
			continue;
		for (int j = 0; j < 300; j++) {
			uint32_t id;
			int lock = ub_record_claim_name("disk", &alive, &id, NULL);

			if (lock < 0)
				continue;
			if (mkdir(taken, 0700) != 0 || rmdir(taken) != 0)
				_exit(1);
			ub_record_release_name("disk", &lock);
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
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
		r.backing.dev = 1;
		r.backing.ino = 7000 + i;
		r.backing.rdev = i % 2 ? 90000 + i : 0;
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
	r.backing.ino = 5;
	assert_int_equal(ub_record_write(&r, NULL), 0);
	assert_int_equal(find(&b, &id), 0);
	b.ino = 5;
	assert_int_equal(find(&b, &id), 1);
	assert_int_equal(ub_record_remove(3, TOKEN), 0);
	assert_int_equal(find(&b, &id), 0);
	ub_record_done(&r);
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

static void writers_at_the_same_time_leave_one_whole_record(void **state)
{
	(void)state;
	write_record(3, 1, "/a");
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		for (int j = 0; j < 50; j++)
			(void)write_it();
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(read_it(), 0);
		ub_record_done(&record);
	}
	while (wait(NULL) > 0)
		;
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
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(only_its_own_token_removes_it),
		TEST(one_that_cannot_be_used_goes_with_its_device_too),
		TEST(nothing_is_left_of_one_that_is_removed),
		TEST(a_full_file_system_keeps_no_news_out),
		TEST(a_link_in_its_place_is_not_followed),
		TEST(a_link_in_the_directorys_place_is_refused),
		TEST(what_others_may_write_is_refused),
		TEST(what_belongs_to_others_is_refused),
		TEST(no_other_kind_of_file_is_read_or_waited_for),
		TEST(a_file_that_is_no_record_is_refused),
		TEST(a_backing_that_is_served_is_found),
		TEST(a_range_or_an_inode_number_of_old_claims_nothing_else),
		TEST(a_backing_is_found_under_numbers_that_have_changed),
		TEST(readers_share_a_backing_and_nodes_of_one_device_are_one),
		TEST(a_name_that_is_taken_is_found),
		TEST(of_two_who_want_a_name_one_gets_it),
		TEST(a_name_is_never_had_twice),
		TEST(one_among_many_is_found_by_file_device_and_name),
		TEST(an_entry_that_is_left_over_claims_nothing),
		TEST(without_a_safe_index_nothing_is_recorded),
		TEST(writers_at_the_same_time_leave_one_whole_record),
		TEST(the_directory_is_the_users_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
