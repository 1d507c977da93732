/* SPDX-License-Identifier: MIT */
/* What the loop target makes of what a backing can: the probe is ours, the file is real. */
#include "target_queue.h"

#include "target/probe.h"

static struct ub_probe found;
static int direct_result;
static bool is_direct;

int ub_probe_backing(int fd, const struct ub_backing *b, struct ub_probe *ret_probe,
		     struct ub_error *err)
{
	(void)fd;
	(void)b;
	(void)err;
	is_direct = false;
	*ret_probe = found;
	return 0;
}

int ub_set_direct(int fd, bool on)
{
	(void)fd;
	if (direct_result == 0)
		is_direct = on;
	return direct_result;
}

static const struct ub_probe file = {
	.logical = 512,
	.physical = 4096,
	.granularity = 4096,
	.direct_alignment = 512,
	.direct_memory = 4,
};
static const struct ub_probe disk = {
	.block = true,
	.logical = 4096,
	.physical = 4096,
	.io_min = 4096,
	.io_opt = 65536,
	.granularity = 8192,
	.direct_alignment = 4096,
	.direct_memory = 512,
	.rotational = true,
};

/* @direct: 1, 0 or -1 as in the options; @block: what is asked for, or 0. */
static void prepare_with(struct opened *o, const struct ub_probe *p, int direct, uint32_t block,
			 uint64_t offset)
{
	make_file("image", (1 << 20) + offset);
	found = *p;
	prepare(o, "loop", "image");
	*(int *)arg(o, "direct") = direct;
	set_size(o, "offset", offset);
	o->req.logical_block_size = block;
}

static void opens_with(const struct ub_probe *p, int direct, uint32_t block, uint64_t offset,
		       bool want_direct, uint32_t want_block, const char *note)
{
	struct opened o;

	prepare_with(&o, p, direct, block, offset);
	must_open(&o);
	assert_int_equal(*(int *)arg(&o, "direct"), want_direct);
	assert_int_equal(is_direct, want_direct);
	assert_int_equal(o.tgt.logical_block_size, want_block);
	assert_true(o.tgt.physical_block_size >= want_block);
	if (note)
		assert_true(notes_say(&o, note));
	else
		assert_int_equal(o.notes.count, 0);
	finish(&o);
}

static void fails_with(const struct ub_probe *p, uint32_t block, uint64_t offset, const char *why)
{
	struct opened o;

	prepare_with(&o, p, 1, block, offset);
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, why);
}

static void a_file_keeps_512_byte_sectors(void **state)
{
	struct ub_probe coarse = file;

	(void)state;
	coarse.direct_alignment = 4096;
	opens_with(&file, -1, 0, 0, true, 512, NULL);
	opens_with(&file, -1, 4096, 512, true, 4096, NULL);
	opens_with(&file, 0, 0, 0, false, 512, NULL);
	opens_with(&coarse, -1, 0, 0, false, 512,
		   "I/O is buffered, not direct: it needs --logical-block-size 4096");
	opens_with(&coarse, -1, 4096, 0, true, 4096, NULL);
	opens_with(&coarse, -1, 4096, 512, false, 4096,
		   "it needs an --offset that is a multiple of 4096");
}

static void direct_on_takes_the_block_that_it_needs(void **state)
{
	struct ub_probe coarse = file, huge = file, none = file;

	(void)state;
	coarse.direct_alignment = 4096;
	huge.direct_alignment = 65536;
	none.direct_alignment = 0;
	opens_with(&file, 1, 0, 0, true, 512, NULL);
	opens_with(&coarse, 1, 0, 0, true, 4096, NULL);
	fails_with(&coarse, 512, 0, "needs --logical-block-size 4096");
	fails_with(&coarse, 0, 512, "multiple of 4096");
	fails_with(&huge, 0, 0, "65536 bytes, more than a page");
	fails_with(&none, 0, 0, "does not offer it");
	opens_with(&none, -1, 0, 0, false, 512, "does not offer it");
}

static void a_disk_keeps_its_own_blocks(void **state)
{
	struct opened o;

	(void)state;
	opens_with(&disk, -1, 0, 0, true, 4096, NULL);
	opens_with(&disk, -1, 512, 0, false, 512, "needs --logical-block-size 4096");
	fails_with(&disk, 512, 0, "needs --logical-block-size 4096");

	prepare_with(&o, &disk, -1, 0, 0);
	must_open(&o);
	assert_int_equal(o.tgt.io_min, 4096);
	assert_int_equal(o.tgt.io_opt, 65536);
	assert_int_equal(o.tgt.discard_granularity, 8192);
	assert_true(o.tgt.rotational);
	finish(&o);

	/* An offset shifts what was aligned, and a disk discards no parts of blocks. */
	prepare_with(&o, &disk, -1, 0, 512);
	must_open(&o);
	assert_int_equal(o.tgt.io_min, 0);
	assert_int_equal(o.tgt.io_opt, 0);
	assert_int_equal(o.tgt.discard_granularity, 0);
	assert_true(o.tgt.write_zeroes);
	finish(&o);
	prepare_with(&o, &disk, -1, 512, 0);
	must_open(&o);
	assert_int_equal(o.tgt.discard_granularity, 0);
	finish(&o);
	prepare_with(&o, &disk, -1, 0, 0);
	o.req.no_discard = true;
	must_open(&o);
	assert_int_equal(o.tgt.discard_granularity, 0);
	finish(&o);
}

/* Clients align their memory to their blocks, as the kernel's own file systems do. */
static void zero_copy_takes_no_block_that_memory_does_not_fit(void **state)
{
	struct ub_probe coarse = file;
	struct opened o;

	(void)state;
	coarse.direct_memory = 4096;
	for (int direct = -1; direct <= 1; direct++) {
		prepare_with(&o, &coarse, direct, 0, 0);
		o.req.zero_copy = true;
		must_open(&o);
		assert_int_equal(is_direct, direct == 1);
		assert_int_equal(o.tgt.logical_block_size, direct == 1 ? 4096 : 512);
		assert_int_equal(o.tgt.memory_align, direct == 1 ? 4096 : 0);
		assert_int_equal(notes_say(&o, "with zero-copy it needs --logical-block-size 4096"),
				 direct == -1);
		finish(&o);
	}
	prepare_with(&o, &coarse, 1, 512, 0);
	o.req.zero_copy = true;
	is_refused(&o, -EINVAL, UB_STAGE_BACKING, "with zero-copy it needs --logical-block-size");
	/* Where the server's own buffers lie right, nobody is asked. */
	opens_with(&coarse, 1, 512, 0, true, 512, NULL);
	/* Each piece of a request has to be whole blocks. */
	prepare_with(&o, &disk, -1, 0, 0);
	o.req.zero_copy = true;
	must_open(&o);
	assert_true(is_direct);
	assert_int_equal(o.tgt.memory_align, 4096);
	finish(&o);
}

static void only_direct_writes_want_data_that_stands_still(void **state)
{
	struct ub_probe checked = file;
	struct opened o;

	(void)state;
	checked.stable_data = true;
	for (int direct = 0; direct <= 1; direct++) {
		prepare_with(&o, &checked, direct, 0, 0);
		must_open(&o);
		assert_int_equal(o.tgt.stable_data, direct);
		finish(&o);
		prepare_with(&o, &file, direct, 0, 0);
		must_open(&o);
		assert_false(o.tgt.stable_data);
		finish(&o);
	}
}

static void a_switch_that_fails_is_told(void **state)
{
	struct opened o;

	(void)state;
	direct_result = -EIO;
	prepare_with(&o, &file, -1, 0, 0);
	is_refused(&o, -EIO, UB_STAGE_BACKING, "cannot do direct I/O on");
	direct_result = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_keeps_512_byte_sectors),
		cmocka_unit_test(direct_on_takes_the_block_that_it_needs),
		cmocka_unit_test(a_disk_keeps_its_own_blocks),
		cmocka_unit_test(zero_copy_takes_no_block_that_memory_does_not_fit),
		cmocka_unit_test(only_direct_writes_want_data_that_stands_still),
		cmocka_unit_test(a_switch_that_fails_is_told),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
