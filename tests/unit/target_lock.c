/* SPDX-License-Identifier: MIT */
/* Who keeps whom out of a file. */
#include "target_support.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_served_for_writing_once),
		cmocka_unit_test(ranges_of_a_file_that_do_not_overlap_are_served_together),
		cmocka_unit_test(a_file_is_served_read_only_many_times),
		cmocka_unit_test(the_lock_lasts_as_long_as_the_description),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
