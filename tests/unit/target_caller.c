/* SPDX-License-Identifier: MIT */
/* What a path means to the caller alone: where it begins, and what he has opened and gives on. */
#include "target_support.h"

/* As in the command line, and then in a server that has inherited it. */
static void call(const char *path, struct opened *o, struct ub_caller *ret_caller, int code)
{
	prepare(o, "loop", "");
	free(*(char **)arg(o, "file"));
	*(char **)arg(o, "file") = strdup(path);
	assert_int_equal(o->tgt.type->call(o->args, ret_caller, &o->err), code);
	assert_int_equal(o->err.code, code);
}

static void a_relative_path_becomes_absolute_and_keeps_its_links(void **state)
{
	struct ub_caller caller;
	struct opened o;
	char want[200];

	(void)state;
	make_file("real", 4096);
	assert_int_equal(symlink("real", "link\n\xff name"), 0);
	call("link\n\xff name", &o, &caller, 0);
	must_open(&o);
	(void)snprintf(want, sizeof(want), "%s/link\n\xff name", folder);
	assert_string_equal(o.tgt.backings.at[0].path, want);
	assert_string_equal(*(char **)arg(&o, "file"), want);
	finish(&o);
	/* The folder's too: a server does not know by which the user came. */
	assert_int_equal(symlink(folder, "way"), 0);
	(void)snprintf(want, sizeof(want), "%s/way", folder);
	assert_int_equal(chdir(want), 0);
	assert_int_equal(setenv("PWD", want, 1), 0);
	call("real", &o, &caller, 0);
	assert_int_equal(unsetenv("PWD"), 0);
	must_open(&o);
	(void)snprintf(want, sizeof(want), "%s/way/real", folder);
	assert_string_equal(*(char **)arg(&o, "file"), want);
	finish(&o);
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
		assert_string_equal(o.tgt.backings.at[0].path, want);
		assert_string_equal(*(char **)arg(&o, "file"), want);
		finish(&o);
		(void)close(caller.fd);
	}
	call("given", &o, &caller, 0);
	assert_int_equal(caller.fd, -1);
	assert_string_equal(*(char **)arg(&o, "file"), want);
	finish(&o);
	call("missing", &o, &caller, 0);
	assert_int_equal(caller.fd, -1);
	finish(&o);

	assert_int_equal(unlink("given"), 0);
	call(path, &o, &caller, 0);
	assert_true(caller.nameless);
	must_open(&o);
	assert_null(o.tgt.backings.at[0].real);
	assert_non_null(strstr(o.tgt.backings.at[0].path, "given (deleted)"));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_relative_path_becomes_absolute_and_keeps_its_links),
		cmocka_unit_test(a_descriptor_of_the_caller_is_what_it_leads_to),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
