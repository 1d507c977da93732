/* SPDX-License-Identifier: MIT */
/* What was served is found again by the next server, and nothing else. */
#include "target_support.h"

#include <signal.h>
#include <sys/wait.h>

/* What is left of a device that was served and whose server has gone. */
static struct ub_backings leave(const char *file, uint64_t *ret_size)
{
	struct ub_backings was;
	struct opened o;

	prepare(&o, "loop", file);
	must_open(&o);
	was = o.tgt.backings;
	o.tgt.backings = (struct ub_backings){0};
	*ret_size = o.tgt.size;
	finish(&o);
	return was;
}

/* As recorded: the size is the one that was served. */
static void prepare_again(struct opened *o, const char *file, const struct ub_backings *was,
			  uint64_t size)
{
	prepare(o, "loop", file);
	set_size(o, "size", size);
	o->req.expect = was;
}

static void only_the_backing_that_is_expected_is_served(void **state)
{
	struct ub_backings was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("mine", 8192);
	was = leave("mine", &size);
	assert_int_equal(size, 8192);
	assert_int_equal(was.at[0].length, 8192);
	assert_true(ub_backing_known_by(&was.at[0]) >= UB_BY_BIRTH);
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
	ub_backings_done(&was);
}

static void a_backing_that_has_grown_is_served_and_one_too_short_is_not(void **state)
{
	struct ub_backings was;
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
	ub_backings_done(&was);
}

static void a_file_is_found_where_its_link_led_when_the_link_leads_elsewhere(void **state)
{
	struct ub_backings was;
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
	assert_string_equal(o.tgt.backings.at[0].real, was.at[0].real);
	assert_true(
		notes_say(&o, "turns is another file now: what the device was made of is served"));
	finish(&o);
	assert_int_equal(unlink("turns"), 0);
	prepare_again(&o, "turns", &was, size);
	must_open(&o);
	assert_true(notes_say(&o, "turns is not there any more"));
	finish(&o);
	ub_backings_done(&was);
}

static void a_file_that_was_renamed_is_found_where_handles_can_be_opened(void **state)
{
	struct ub_backings was;
	struct opened o;
	uint64_t size;

	(void)state;
	make_file("before", 4096);
	was = leave("before", &size);
	if (!was.at[0].handle_opens || geteuid() != 0) {
		ub_backings_done(&was);
		skip();
	}
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(rename("before", "folder/after"), 0);
	make_file("before", 4096);
	prepare_again(&o, "before", &was, size);
	must_open(&o);
	assert_non_null(strstr(o.tgt.backings.at[0].real, "folder/after"));
	assert_true(notes_say(&o, "folder/after"));
	finish(&o);
	/* What is no handle leads nowhere. */
	for (const char **bad = (const char *[]){"", "1", "1:", "1:0", "1:zz", ":00", NULL}; *bad;
	     bad++) {
		free(was.at[0].handle);
		was.at[0].handle = strdup(*bad);
		prepare_again(&o, "missing", &was, size);
		is_refused(&o, -ENOENT, UB_STAGE_BACKING, "cannot open ");
	}
	ub_backings_done(&was);
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
	struct ub_backings was;
	struct opened o;

	(void)state;
	prepare(&o, "loop", "program");
	must_open(&o);
	assert_true(o.tgt.read_only);
	assert_true(notes_say(&o, "/program cannot be opened for writing: Text file"));
	was = o.tgt.backings;
	o.tgt.backings = (struct ub_backings){0};
	finish(&o);
	was.at[0].writable = true;
	/* A device that could be written to does not come back as one that cannot. */
	prepare(&o, "loop", "program");
	o.req.expect = &was;
	is_refused(&o, -ETXTBSY, UB_STAGE_BACKING, "for writing");
	ub_backings_done(&was);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_backing_that_is_expected_is_served),
		cmocka_unit_test(a_backing_that_has_grown_is_served_and_one_too_short_is_not),
		cmocka_unit_test(a_file_is_found_where_its_link_led_when_the_link_leads_elsewhere),
		cmocka_unit_test(a_file_that_was_renamed_is_found_where_handles_can_be_opened),
		cmocka_unit_test(what_cannot_be_written_is_read_only_and_said),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
