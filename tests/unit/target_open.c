/* SPDX-License-Identifier: MIT */
/* Opening targets: what is refused, what is resolved, what is made. */
#include "target_support.h"

#include <sys/socket.h>
#include <sys/un.h>

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
	assert_int_equal(o.tgt.backings.at[0].size, 1000001);
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

/* By that --adopt knows the device of a description. */
static void a_size_that_was_asked_for_stays_in_the_description(void **state)
{
	static const char *const targets[] = {"loop", "null", "mem"};
	struct ub_backings was;
	struct opened o;

	(void)state;
	make_file("asked", 8192);
	for (unsigned i = 0; i < 3; i++) {
		prepare(&o, targets[i], i ? NULL : "asked");
		set_size(&o, "size", 5000);
		must_open(&o);
		assert_int_equal(o.tgt.size, 4608);
		assert_int_equal(get_size(&o, "size"), 5000);
		if (i == 0) {
			assert_int_equal(o.tgt.backings.at[0].length, 4608);
			was = o.tgt.backings;
			o.tgt.backings = (struct ub_backings){0};
		}
		finish(&o);
	}
	/* Of the last block nothing was served. */
	assert_int_equal(truncate("asked", 4700), 0);
	prepare(&o, "loop", "asked");
	set_size(&o, "size", 5000);
	o.req.expect = &was;
	must_open(&o);
	assert_int_equal(o.tgt.size, 4608);
	finish(&o);
	ub_backings_done(&was);
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
	assert_true(strlen(o.tgt.backings.at[0].path) > 6000);
	ub_tgt_undo(&o.tgt);
	assert_int_equal(access("file", F_OK), -1);
	finish(&o);
	assert_int_equal(fchdir(home), 0);
}

static void a_created_file_is_sparse_private_and_new(void **state)
{
	struct opened o;
	struct stat st;

	(void)state;
	prepare(&o, "loop", "made");
	set_size(&o, "create", 1 << 30);
	must_open(&o);
	assert_true(o.tgt.created[0]);
	assert_int_equal(o.tgt.size, 1 << 30);
	assert_int_equal(get_size(&o, "create"), 0);
	assert_int_equal(stat("made", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks < 100);
	assert_int_equal(st.st_ino, o.tgt.backings.at[0].ino);
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
	assert_false(o.tgt.created[0]);
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
		cmocka_unit_test(a_size_that_was_asked_for_stays_in_the_description),
		cmocka_unit_test(offset_and_size_stay_inside_the_file),
		cmocka_unit_test(an_offset_of_any_byte_is_served_by_buffered_io_and_said),
		cmocka_unit_test(a_path_longer_than_the_kernel_takes_can_be_served),
		cmocka_unit_test(a_created_file_is_sparse_private_and_new),
		cmocka_unit_test(a_created_file_goes_when_a_later_step_fails),
		cmocka_unit_test(probing_creates_nothing),
		cmocka_unit_test(null_and_mem_need_no_backing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
