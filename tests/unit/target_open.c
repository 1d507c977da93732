/* SPDX-License-Identifier: MIT */
/* Opening targets: what is refused, what is resolved, who keeps whom out. */
#include "target_queue.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static void what_is_no_file_is_refused_with_its_kind(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct opened o;

	(void)state;
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(mkdir("directory", 0700), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	prepare(&o, "loop", "directory");
	is_refused(&o, -EISDIR, UB_STAGE_BACKING, "it is a directory");
	prepare(&o, "loop", "fifo"); /* and it does not block */
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "it is a FIFO");
	prepare(&o, "loop", "socket");
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "it is a socket");
	prepare(&o, "loop", "/dev/zero");
	is_refused(&o, -EINVAL, UB_STAGE_BACKING,
		   "cannot serve /dev/zero: it is a character device");
	prepare(&o, "loop", "missing");
	is_refused(&o, -ENOENT, UB_STAGE_BACKING, "missing: No such file or directory");
	prepare(&o, "loop", "");
	is_refused(&o, -EINVAL, UB_STAGE_USAGE, "missing the file");
	make_file("empty", 0);
	prepare(&o, "loop", "empty");
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "it is empty");
	make_file("tiny", 511);
	prepare(&o, "loop", "tiny");
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "cannot serve 511 bytes");
}

static void sizes_are_rounded_down_and_said(void **state)
{
	struct opened o;

	(void)state;
	make_file("odd", 1000001);
	prepare(&o, "loop", "odd");
	must_open(&o);
	assert_int_equal(o.tgt.size, 1000001 / 512 * 512);
	assert_int_equal(get_size(&o, "size"), o.tgt.size);
	assert_int_equal(o.tgt.backing.size, 1000001);
	assert_true(notes_say(&o, "the last 65 of 1000001 bytes are not served"));
	finish(&o);

	prepare(&o, "loop", "odd");
	set_size(&o, "offset", 512);
	o.req.logical_block_size = 4096;
	must_open(&o);
	assert_int_equal(o.tgt.size, (1000001 - 512) / 4096 * 4096);
	assert_int_equal(o.tgt.logical_block_size, 4096);
	assert_true(o.tgt.physical_block_size >= 4096);
	finish(&o);
}

static void offset_and_size_stay_inside_the_file(void **state)
{
	struct opened o;

	(void)state;
	make_file("small", 8192);
	prepare(&o, "loop", "small");
	set_size(&o, "offset", 8192);
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "cannot start at 8192");
	prepare(&o, "loop", "small");
	set_size(&o, "offset", 4096);
	set_size(&o, "size", 4608);
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "it has 4096 from offset 4096 on");
	prepare(&o, "loop", "small");
	set_size(&o, "offset", UINT64_MAX - 511);
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "cannot start at");
	prepare(&o, "loop", "small");
	set_size(&o, "offset", 4096);
	set_size(&o, "size", 4096);
	must_open(&o);
	assert_int_equal(o.tgt.size, 4096);
	finish(&o);
}

static void an_offset_of_any_byte_is_served_by_buffered_io_and_said(void **state)
{
	struct opened o;

	(void)state;
	make_file("app", 8192);
	prepare(&o, "loop", "app");
	set_size(&o, "offset", 1001);
	must_open(&o);
	assert_int_equal(o.tgt.size, (8192 - 1001) / 512 * 512);
	assert_int_equal(*(int *)arg(&o, "direct"), 0);
	assert_true(notes_say(&o, "I/O is buffered, not direct: "));
	finish(&o);
	prepare(&o, "loop", "app");
	set_size(&o, "offset", 1001);
	*(int *)arg(&o, "direct") = 1;
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "cannot do direct I/O on ");
}

static void a_relative_path_becomes_absolute_and_keeps_its_links(void **state)
{
	struct opened o;
	char want[200];

	(void)state;
	make_file("real", 4096);
	assert_int_equal(symlink("real", "link\n\xff name"), 0);
	prepare(&o, "loop", "link\n\xff name");
	must_open(&o);
	(void)snprintf(want, sizeof(want), "%s/link\n\xff name", folder);
	assert_string_equal(o.tgt.backing.path, want);
	assert_string_equal(*(char **)arg(&o, "file"), want);
	finish(&o);
}

/* As in the command line, and then in a server that has inherited it. */
static void call(const char *path, struct opened *o, struct ub_caller *ret_caller, int code)
{
	prepare(o, "loop", path);
	assert_int_equal(o->tgt.type->call(o->args, ret_caller, &o->err), code);
	assert_int_equal(o->err.code, code);
}

static void a_descriptor_of_the_caller_is_what_it_leads_to(void **state)
{
	_cleanup_close_ int fd = -1;
	struct ub_caller caller;
	char path[40], want[200];
	struct opened o;

	(void)state;
	make_file("given", 4096);
	fd = open("given", O_RDWR); /* not O_CLOEXEC: it is given on */
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	assert_int_equal(mkdir("link", 0700), 0);
	(void)snprintf(want, sizeof(want), "link/%d", fd);
	assert_int_equal(symlink(path, want), 0);
	(void)snprintf(want, sizeof(want), "%s/given", folder);
	for (const char *const *at =
		     (const char *const[]){"link", "/proc/self/fd", "/proc/thread-self/fd", NULL};
	     *at; at++) {
		(void)snprintf(path, sizeof(path), "%s/%d", *at, fd);
		call(path, &o, &caller, 0);
		assert_true(caller.fd > 2 && caller.fd != fd && !caller.nameless);
		must_open(&o);
		assert_string_equal(o.tgt.backing.path, want);
		assert_string_equal(*(char **)arg(&o, "file"), want);
		finish(&o);
		(void)close(caller.fd);
	}
	call("given", &o, &caller, 0);
	assert_int_equal(caller.fd, -1);
	assert_string_equal(*(char **)arg(&o, "file"), "given");
	finish(&o);
	call("missing", &o, &caller, 0);
	assert_int_equal(caller.fd, -1);
	finish(&o);

	assert_int_equal(unlink("given"), 0);
	call(path, &o, &caller, 0);
	assert_true(caller.nameless);
	must_open(&o);
	assert_null(o.tgt.backing.real);
	assert_non_null(strstr(o.tgt.backing.path, "given (deleted)"));
	assert_true(notes_say(&o, "has no name"));
	finish(&o);
	(void)close(caller.fd);

	/* One of our own is nobody's to name. */
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	call(path, &o, &caller, -EBADF);
	finish(&o);
	ub_close(&fd);
	call(path, &o, &caller, -EBADF);
	finish(&o);
}

static void a_path_longer_than_the_kernel_takes_can_be_served(void **state)
{
	_cleanup_close_ int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[201] = {0};
	struct opened o;

	(void)state;
	memset(name, 'd', 200);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(mkdir(name, 0700), 0);
		assert_int_equal(chdir(name), 0);
	}
	prepare(&o, "loop", "file");
	set_size(&o, "create", 4096);
	must_open(&o);
	assert_true(strlen(o.tgt.backing.path) > 6000);
	ub_tgt_undo(&o.tgt);
	assert_int_equal(access("file", F_OK), -1);
	finish(&o);
	assert_int_equal(fchdir(home), 0);
}

static void a_file_is_served_for_writing_once(void **state)
{
	struct opened a, b;

	(void)state;
	make_file("lock", 4096);
	prepare(&a, "loop", "lock");
	must_open(&a);
	assert_true(a.tgt.backing.writable);
	prepare(&b, "loop", "lock");
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "another device or program has locked it");
	prepare(&b, "loop", "lock");
	b.req.read_only = true;
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "locked");
	prepare(&b, "loop", "lock");
	b.req.no_lock = true;
	must_open(&b);
	finish(&b);
	prepare(&b, "loop", "lock");
	b.req.probe = true;
	must_open(&b);
	finish(&b);
	/* None of these let the first one's lock go. */
	prepare(&b, "loop", "lock");
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "locked");
	finish(&a);
}

static void ranges_of_a_file_that_do_not_overlap_are_served_together(void **state)
{
	struct opened a, b, c;

	(void)state;
	make_file("parts", 16384);
	prepare(&a, "loop", "parts");
	set_size(&a, "offset", 4096);
	set_size(&a, "size", 4096);
	must_open(&a);
	prepare(&b, "loop", "parts");
	set_size(&b, "offset", 8192);
	must_open(&b);
	assert_int_equal(b.tgt.backing.offset, 8192);
	assert_int_equal(b.tgt.backing.length, 8192);
	assert_false(ub_backing_overlaps(&a.tgt.backing, &b.tgt.backing));
	prepare(&c, "loop", "parts");
	is_refused(&c, -EBUSY, UB_STAGE_LOCK, "locked");
	prepare(&c, "loop", "parts");
	set_size(&c, "offset", 7680);
	set_size(&c, "size", 512);
	is_refused(&c, -EBUSY, UB_STAGE_LOCK, "locked");
	prepare(&c, "loop", "parts");
	set_size(&c, "size", 4608);
	is_refused(&c, -EBUSY, UB_STAGE_LOCK, "locked");
	prepare(&c, "loop", "parts");
	set_size(&c, "size", 4096);
	must_open(&c);
	finish(&c);
	finish(&a);
	finish(&b);
}

static void a_file_is_served_read_only_many_times(void **state)
{
	struct opened a, b, c;

	(void)state;
	make_file("shared", 4096);
	prepare(&a, "loop", "shared");
	a.req.read_only = true;
	must_open(&a);
	assert_true(a.tgt.read_only);
	assert_false(a.tgt.backing.writable);
	assert_false(a.tgt.write_zeroes);
	assert_false(a.tgt.volatile_cache);
	assert_int_equal(a.tgt.discard_granularity, 0);
	prepare(&b, "loop", "shared");
	b.req.read_only = true;
	must_open(&b);
	prepare(&c, "loop", "shared");
	is_refused(&c, -EBUSY, UB_STAGE_LOCK, "locked");
	finish(&a);
	finish(&b);
}

static void the_lock_lasts_as_long_as_the_description(void **state)
{
	struct opened a, b;
	int last_io;

	(void)state;
	make_file("last", 4096);
	prepare(&a, "loop", "last");
	must_open(&a);
	/* What an I/O in the kernel holds after its server's death. */
	last_io = dup(a.tgt.files[0]);
	finish(&a);
	prepare(&b, "loop", "last");
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "locked");
	(void)close(last_io);
	prepare(&b, "loop", "last");
	must_open(&b);
	finish(&b);
}

/* What is left of a device that was served and whose server has gone. */
static struct ub_backing leave(const char *file, uint64_t *ret_size)
{
	struct ub_backing was;
	struct opened o;

	prepare(&o, "loop", file);
	must_open(&o);
	was = o.tgt.backing;
	o.tgt.backing = (struct ub_backing){0};
	*ret_size = o.tgt.size;
	finish(&o);
	return was;
}

/* As recorded: the size is the one that was served. */
static void prepare_again(struct opened *o, const char *file, const struct ub_backing *was,
			  uint64_t size)
{
	prepare(o, "loop", file);
	set_size(o, "size", size);
	o->req.expect = was;
}

static void only_the_backing_that_is_expected_is_served(void **state)
{
	struct ub_backing was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("mine", 8192);
	was = leave("mine", &size);
	assert_int_equal(size, 8192);
	assert_int_equal(was.length, 8192);
	assert_true(ub_backing_known_by(&was) >= UB_BY_BIRTH);
	prepare_again(&o, "mine", &was, size);
	o.req.write_error = -EIO;
	must_open(&o);
	assert_int_equal(o.tgt.write_error, -EIO);
	finish(&o);

	make_file("other", 8192);
	assert_int_equal(rename("mine", "away"), 0);
	assert_int_equal(rename("other", "mine"), 0);
	assert_int_equal(unlink("away"), 0);
	prepare_again(&o, "mine", &was, size);
	is_refused(&o, -ESTALE, UB_STAGE_BACKING, "it is not the file that the device was made of");
	assert_int_equal(unlink("mine"), 0);
	prepare_again(&o, "mine", &was, size);
	is_refused(&o, -ENOENT, UB_STAGE_BACKING, "cannot open ");
	ub_backing_done(&was);
}

static void a_backing_that_has_grown_is_served_and_one_too_short_is_not(void **state)
{
	struct ub_backing was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("grows", 8192);
	was = leave("grows", &size);
	assert_int_equal(truncate("grows", 16384), 0);
	prepare_again(&o, "grows", &was, size);
	must_open(&o);
	assert_int_equal(o.tgt.size, 8192);
	finish(&o);
	assert_int_equal(truncate("grows", 4096), 0);
	prepare_again(&o, "grows", &was, size);
	is_refused(&o, -ESTALE, UB_STAGE_BACKING,
		   "8192 bytes of it, from 0 on, and it ends at 4096");
	ub_backing_done(&was);
}

static void a_file_is_found_where_its_link_led_when_the_link_leads_elsewhere(void **state)
{
	struct ub_backing was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("first", 4096);
	make_file("second", 4096);
	assert_int_equal(symlink("first", "turns"), 0);
	was = leave("turns", &size);
	assert_int_equal(unlink("turns"), 0);
	assert_int_equal(symlink("second", "turns"), 0);
	prepare_again(&o, "turns", &was, size);
	must_open(&o);
	assert_string_equal(o.tgt.backing.real, was.real);
	assert_true(
		notes_say(&o, "turns is another file now: what the device was made of is served"));
	finish(&o);
	assert_int_equal(unlink("turns"), 0);
	prepare_again(&o, "turns", &was, size);
	must_open(&o);
	assert_true(notes_say(&o, "turns is not there any more"));
	finish(&o);
	ub_backing_done(&was);
}

static void a_file_that_was_renamed_is_found_where_handles_can_be_opened(void **state)
{
	struct ub_backing was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("before", 4096);
	was = leave("before", &size);
	if (!was.handle_opens || geteuid() != 0) {
		ub_backing_done(&was);
		skip();
	}
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(rename("before", "folder/after"), 0);
	make_file("before", 4096);
	prepare_again(&o, "before", &was, size);
	must_open(&o);
	assert_non_null(strstr(o.tgt.backing.real, "folder/after"));
	assert_true(notes_say(&o, "folder/after"));
	finish(&o);
	/* What is no handle leads nowhere. */
	for (const char **bad = (const char *[]){"", "1", "1:", "1:0", "1:zz", ":00", NULL}; *bad;
	     bad++) {
		free(was.handle);
		was.handle = strdup(*bad);
		prepare_again(&o, "missing", &was, size);
		is_refused(&o, -ENOENT, UB_STAGE_BACKING, "cannot open ");
	}
	ub_backing_done(&was);
}

/* A program that runs cannot be written to, not even by root. */
static pid_t run_a_program(const char *name)
{
	_cleanup_free_ char *copy = NULL;
	char path[100];
	pid_t pid;

	assert_true(asprintf(&copy, "cp /bin/sleep %s", name) > 0);
	assert_int_equal(system(copy), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	pid = vfork();
	if (pid == 0) {
		(void)execl(path, name, "100", (char *)NULL);
		_exit(1);
	}
	return pid;
}

static void what_cannot_be_written_is_read_only_and_said(void **state)
{
	pid_t pid = run_a_program("program");
	struct ub_backing was;
	struct opened o;

	(void)state;
	prepare(&o, "loop", "program");
	must_open(&o);
	assert_true(o.tgt.read_only);
	assert_true(notes_say(&o, "read-only, since it cannot be opened for writing: Text file"));
	was = o.tgt.backing;
	o.tgt.backing = (struct ub_backing){0};
	finish(&o);
	was.writable = true;
	/* A device that could be written to does not come back as one that cannot. */
	prepare(&o, "loop", "program");
	o.req.expect = &was;
	is_refused(&o, -ETXTBSY, UB_STAGE_BACKING, "for writing");
	ub_backing_done(&was);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void a_created_file_is_sparse_private_and_new(void **state)
{
	struct opened o;
	struct stat st;

	(void)state;
	prepare(&o, "loop", "made");
	set_size(&o, "create", 1 << 30);
	must_open(&o);
	assert_true(o.tgt.created);
	assert_int_equal(o.tgt.size, 1 << 30);
	assert_int_equal(get_size(&o, "create"), 0);
	assert_int_equal(stat("made", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks < 100);
	assert_int_equal(st.st_ino, o.tgt.backing.ino);
	finish(&o);
	assert_int_equal(access("made", F_OK), 0);

	prepare(&o, "loop", "made");
	set_size(&o, "create", 4096);
	is_refused(&o, -EEXIST, UB_STAGE_BACKING, "cannot create");
	prepare(&o, "loop", "made");
	set_size(&o, "create", 4096);
	o.req.probe = true;
	is_refused(&o, -EEXIST, UB_STAGE_BACKING, "cannot create");
	prepare(&o, "loop", "never");
	set_size(&o, "create", 4096);
	o.req.read_only = true;
	is_refused(&o, -EINVAL, UB_STAGE_USAGE, "cannot create");
}

static void a_created_file_goes_when_a_later_step_fails(void **state)
{
	struct opened o;

	(void)state;
	prepare(&o, "loop", "later");
	set_size(&o, "create", 4096);
	set_size(&o, "size", 8192);
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "cannot serve 8192 bytes");
	assert_int_equal(access("later", F_OK), -1);

	prepare(&o, "loop", "later");
	set_size(&o, "create", 4096);
	must_open(&o);
	ub_tgt_undo(&o.tgt);
	assert_int_equal(access("later", F_OK), -1);
	finish(&o);

	/* Its folder may have another path by then, as in a server's own mount namespace. */
	assert_int_equal(mkdir("here", 0700), 0);
	prepare(&o, "loop", "here/later");
	set_size(&o, "create", 4096);
	must_open(&o);
	assert_int_equal(rename("here", "there"), 0);
	ub_tgt_undo(&o.tgt);
	assert_int_equal(access("there/later", F_OK), -1);
	finish(&o);

	/* Another file that has taken its place stays. */
	prepare(&o, "loop", "later");
	set_size(&o, "create", 4096);
	must_open(&o);
	make_file("another", 512);
	assert_int_equal(rename("another", "later"), 0);
	ub_tgt_undo(&o.tgt);
	assert_int_equal(access("later", F_OK), 0);
	finish(&o);
}

static void probing_creates_nothing(void **state)
{
	struct opened o;

	(void)state;
	prepare(&o, "loop", "dry");
	set_size(&o, "create", 1 << 20);
	o.req.probe = true;
	must_open(&o);
	assert_int_equal(o.tgt.size, 1 << 20);
	assert_int_equal(access("dry", F_OK), -1);
	assert_false(o.tgt.created);
	finish(&o);
}

static void null_and_mem_need_no_backing(void **state)
{
	struct opened o;

	(void)state;
	prepare(&o, "null", NULL);
	must_open(&o);
	assert_int_equal(o.tgt.size, 250ULL << 30);
	assert_int_equal(o.tgt.nr_files, 0);
	assert_true(o.tgt.discard_granularity && o.tgt.write_zeroes);
	assert_true(o.tgt.type->recoverable);
	finish(&o);

	prepare(&o, "mem", NULL);
	assert_int_equal(o.tgt.type->check(o.args, &o.err), -EINVAL);
	set_size(&o, "size", 10000);
	o.req.logical_block_size = 4096;
	must_open(&o);
	assert_int_equal(o.tgt.size, 8192);
	assert_true(notes_say(&o, "the last 1808 of 10000 bytes"));
	assert_false(o.tgt.type->recoverable);
	assert_false(o.tgt.volatile_cache);
	finish(&o);

	prepare(&o, "mem", NULL);
	set_size(&o, "size", 1ULL << 60);
	is_refused(&o, -ENOMEM, UB_STAGE_MEMORY, "cannot map");
	assert_null(ub_target_find("nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_file_is_refused_with_its_kind),
		cmocka_unit_test(sizes_are_rounded_down_and_said),
		cmocka_unit_test(offset_and_size_stay_inside_the_file),
		cmocka_unit_test(an_offset_of_any_byte_is_served_by_buffered_io_and_said),
		cmocka_unit_test(a_relative_path_becomes_absolute_and_keeps_its_links),
		cmocka_unit_test(a_descriptor_of_the_caller_is_what_it_leads_to),
		cmocka_unit_test(a_path_longer_than_the_kernel_takes_can_be_served),
		cmocka_unit_test(a_file_is_served_for_writing_once),
		cmocka_unit_test(ranges_of_a_file_that_do_not_overlap_are_served_together),
		cmocka_unit_test(a_file_is_served_read_only_many_times),
		cmocka_unit_test(the_lock_lasts_as_long_as_the_description),
		cmocka_unit_test(only_the_backing_that_is_expected_is_served),
		cmocka_unit_test(a_backing_that_has_grown_is_served_and_one_too_short_is_not),
		cmocka_unit_test(a_file_is_found_where_its_link_led_when_the_link_leads_elsewhere),
		cmocka_unit_test(a_file_that_was_renamed_is_found_where_handles_can_be_opened),
		cmocka_unit_test(what_cannot_be_written_is_read_only_and_said),
		cmocka_unit_test(a_created_file_is_sparse_private_and_new),
		cmocka_unit_test(a_created_file_goes_when_a_later_step_fails),
		cmocka_unit_test(probing_creates_nothing),
		cmocka_unit_test(null_and_mem_need_no_backing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
