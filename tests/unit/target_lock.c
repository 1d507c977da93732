/* SPDX-License-Identifier: MIT */
/* Who keeps whom out of a file. */
#include "target/backing.h"
#include "target_support.h"

static void a_file_is_served_for_writing_once(void **state)
{
	struct opened a, b;

	(void)state;
	make_file("lock", 4096);
	prepare(&a, "loop", "lock");
	must_open(&a);
	assert_true(a.tgt.backings.at[0].writable);
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
	assert_int_equal(b.tgt.backings.at[0].offset, 8192);
	assert_int_equal(b.tgt.backings.at[0].length, 8192);
	assert_false(ub_backing_overlaps(&a.tgt.backings.at[0], &b.tgt.backings.at[0]));
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
	assert_false(a.tgt.backings.at[0].writable);
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

struct several {
	struct ub_tgt tgt;
	struct ub_open_request req;
	struct ub_notes notes;
	struct ub_error err;
};

/* One more backing, of which a range is served. */
static int add(struct several *s, const char *file, uint64_t offset, uint64_t length)
{
	_cleanup_free_ char *path = ub_path_absolute(file);
	unsigned which = s->tgt.backings.count;
	int ret = ub_backing_open(&s->tgt, path, 0, &s->req, &s->notes, &s->err);

	s->tgt.backings.at[which].offset = offset;
	s->tgt.backings.at[which].length = length;
	return ret ? ret : ub_backing_take(&s->tgt, which, &s->req, &s->err);
}

static void no_two_backings_of_a_device_are_the_same_part_of_a_file(void **state)
{
	static const struct ub_open_request requests[] = {
		{.no_lock = false}, {.no_lock = true}, {.probe = true}, {.read_only = true}};

	(void)state;
	make_file("one", 8192);
	(void)unlink("two");
	assert_int_equal(link("one", "two"), 0);
	for (size_t i = 0; i < UB_ARRAY_SIZE(requests); i++) {
		struct several s = {.req = requests[i]};

		assert_int_equal(add(&s, "one", 0, 4096), 0);
		assert_int_equal(add(&s, "two", 4096, 2048), 0);
		assert_int_equal(s.tgt.backings.count, 2);
		assert_int_equal(add(&s, "two", 6143, 1), -EINVAL);
		assert_int_equal(s.err.stage, UB_STAGE_BACKING);
		assert_non_null(strstr(s.err.msg, "/two: this device has it already, as "));
		ub_tgt_close(&s.tgt);
	}
}

static void each_of_several_backings_has_its_own_lock(void **state)
{
	struct several s = {.req = {0}};
	struct opened o;

	(void)state;
	make_file("a", 4096);
	make_file("b", 8192);
	assert_int_equal(add(&s, "a", 0, 4096), 0);
	assert_int_equal(add(&s, "b", 4096, 4096), 0);
	prepare(&o, "loop", "a");
	is_refused(&o, -EBUSY, UB_STAGE_LOCK, "/a: another device");
	prepare(&o, "loop", "b");
	is_refused(&o, -EBUSY, UB_STAGE_LOCK, "/b: another device");
	prepare(&o, "loop", "b");
	set_size(&o, "size", 4096);
	must_open(&o);
	finish(&o);
	ub_backing_unlock_rest(&s.tgt, 1, 2048);
	prepare(&o, "loop", "b");
	set_size(&o, "offset", 6144);
	must_open(&o);
	finish(&o);
	ub_tgt_close(&s.tgt);
}

static void a_recovery_wants_each_of_several_backings_in_its_place(void **state)
{
	struct several s = {.req = {0}};
	struct ub_backings was;

	(void)state;
	make_file("a", 4096);
	make_file("b", 4096);
	assert_int_equal(add(&s, "a", 0, 4096), 0);
	assert_int_equal(add(&s, "b", 0, 4096), 0);
	was = s.tgt.backings;
	s.tgt.backings = (struct ub_backings){0};
	ub_tgt_close(&s.tgt);
	s.req.expect = &was;
	assert_int_equal(add(&s, "a", 0, 4096), 0);
	assert_int_equal(rename("b", "c"), 0);
	make_file("b", 4096);
	assert_int_equal(add(&s, "b", 0, 4096), was.at[1].handle_opens ? 0 : -ESTALE);
	assert_int_equal(add(&s, "b", 0, 4096), -ESTALE);
	assert_non_null(strstr(s.err.msg, "/b: the device was made without it"));
	ub_tgt_close(&s.tgt);
	/* The other way round. */
	free(was.at[1].real);
	was.at[1].real = NULL;
	was.at[1].handle_opens = false;
	assert_int_equal(add(&s, "a", 0, 4096), 0);
	assert_int_equal(add(&s, "a", 0, 4096), -ESTALE);
	assert_non_null(strstr(s.err.msg, "/a: it is not the file that the device was made of"));
	ub_tgt_close(&s.tgt);
	ub_backings_done(&was);
}

static void what_was_made_of_several_backings_is_removed(void **state)
{
	struct several s = {.req = {0}};
	_cleanup_free_ char *made = ub_path_absolute("made");

	(void)state;
	make_file("was-there", 4096);
	assert_int_equal(add(&s, "was-there", 0, 4096), 0);
	assert_int_equal(ub_backing_open(&s.tgt, made, 4096, &s.req, &s.notes, &s.err), 0);
	assert_true(s.tgt.backings.at[1].writable);
	assert_int_equal(access("made", F_OK), 0);
	ub_tgt_undo(&s.tgt);
	ub_tgt_close(&s.tgt);
	assert_int_equal(access("was-there", F_OK), 0);
	assert_int_equal(access("made", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_served_for_writing_once),
		cmocka_unit_test(ranges_of_a_file_that_do_not_overlap_are_served_together),
		cmocka_unit_test(a_file_is_served_read_only_many_times),
		cmocka_unit_test(the_lock_lasts_as_long_as_the_description),
		cmocka_unit_test(no_two_backings_of_a_device_are_the_same_part_of_a_file),
		cmocka_unit_test(each_of_several_backings_has_its_own_lock),
		cmocka_unit_test(a_recovery_wants_each_of_several_backings_in_its_place),
		cmocka_unit_test(what_was_made_of_several_backings_is_removed),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
