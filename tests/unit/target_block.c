/* SPDX-License-Identifier: MIT */
/* Real backings: a block device (the kernel's own loop, root only) and whatever direct I/O the
 * folder's file system has. */
#include "target_queue.h"

#include <linux/falloc.h>
#include <linux/loop.h>
#include <sys/wait.h>

#define SIZE (8U << 20)
#define FUA UBLK_IO_F_FUA

static struct opened o;
static struct ub_queue q;
static char disk[32];
static int disk_fd = -1;

/* Makes a block device of @block bytes per block out of a file. Return: false if we may not. */
static bool make_disk(uint32_t block)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct loop_config config = {.block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	int nr;

	make_file("disk", SIZE);
	if (control < 0)
		return false;
	fd = open("disk", O_RDWR | O_CLOEXEC);
	config.fd = (uint32_t)fd;
	/* Another process may take the free one first. */
	for (int i = 0; i < 100; i++) {
		nr = ioctl(control, LOOP_CTL_GET_FREE);
		if (nr < 0)
			return false;
		(void)snprintf(disk, sizeof(disk), "/dev/loop%d", nr);
		disk_fd = open(disk, O_RDWR | O_CLOEXEC);
		if (disk_fd < 0)
			return false;
		if (ioctl(disk_fd, LOOP_CONFIGURE, &config) == 0)
			return true;
		ub_close(&disk_fd);
	}
	return false;
}

static void no_disk(void)
{
	ub_close(&disk_fd); /* and the last close takes it down */
}

static void exercise(void)
{
	queue_init(&q, &o.tgt);
	fill(q.data, 1 << 20, 1);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE, 65536, 1 << 20, FUA), 0);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	memset(q.data, 0, 1 << 20);
	assert_int_equal(run(&q, UBLK_IO_OP_READ, 65536, 1 << 20, 0), 0);
	assert_true(is_filled(q.data, 1 << 20, 1));
	for (int i = 0; i < 2; i++) {
		fill(q.data, 1 << 20, 2);
		assert_int_equal(run(&q, UBLK_IO_OP_WRITE, 0, 1 << 20, 0), 0);
		assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 4096, 65536,
				     i ? UBLK_IO_F_NOUNMAP | FUA : 0),
				 0);
		assert_int_equal(run(&q, UBLK_IO_OP_READ, 0, 1 << 20, 0), 0);
		assert_true(is_filled(q.data, 4096, 2));
		assert_true(is_zero(q.data + 4096, 65536));
		assert_false(is_zero(q.data + 4096 + 65536, 16));
	}
	if (o.tgt.discard_granularity)
		assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 1 << 20, 1 << 20, 0), 0);
	queue_done(&q);
}

static void a_disk_is_served_with_its_own_blocks(void **state)
{
	(void)state;
	if (!make_disk(4096))
		skip();
	prepare(&o, "loop", disk);
	must_open(&o);
	assert_int_equal(o.tgt.logical_block_size, 4096);
	assert_int_equal(o.tgt.size, SIZE);
	assert_int_equal(o.tgt.backings.at[0].size, SIZE);
	assert_true(o.tgt.backings.at[0].rdev != 0);
	assert_int_equal(*(int *)arg(&o, "direct"), 1);
	assert_true(fcntl(o.tgt.files[0], F_GETFL) & O_DIRECT);
	assert_false(fcntl(o.tgt.files[0], F_GETFL) & O_NONBLOCK);
	exercise();
	finish(&o);
	no_disk();
}

static void a_disk_in_small_blocks_is_buffered(void **state)
{
	(void)state;
	if (!make_disk(4096))
		skip();
	prepare(&o, "loop", disk);
	set_size(&o, "offset", 512);
	o.req.logical_block_size = 512;
	must_open(&o);
	assert_int_equal(*(int *)arg(&o, "direct"), 0);
	assert_int_equal(o.tgt.discard_granularity, 0);
	assert_int_equal(o.tgt.size, SIZE - 512);
	exercise(); /* zeroes too, although nothing is aligned */
	finish(&o);
	no_disk();
}

static void a_disk_is_served_once(void **state)
{
	struct opened b;

	(void)state;
	if (!make_disk(512))
		skip();
	prepare(&o, "loop", disk);
	must_open(&o);
	prepare(&b, "loop", disk);
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "mounted, used as swap, or served already");
	prepare(&b, "loop", disk);
	b.req.read_only = true;
	is_refused(&b, -EBUSY, UB_STAGE_LOCK, "locked");
	prepare(&b, "loop", disk);
	b.req.probe = true;
	must_open(&b);
	finish(&b);
	finish(&o);
	no_disk();
}

static void a_write_protected_disk_is_read_only_and_said(void **state)
{
	int on = 1;

	(void)state;
	if (!make_disk(512))
		skip();
	assert_int_equal(ioctl(disk_fd, BLKROSET, &on), 0);
	prepare(&o, "loop", disk);
	must_open(&o);
	assert_true(o.tgt.read_only);
	assert_true(notes_say(&o, "Read-only file system"));
	assert_false(o.tgt.write_zeroes);
	finish(&o);
	on = 0; /* else it stays so for the next one's use */
	assert_int_equal(ioctl(disk_fd, BLKROSET, &on), 0);
	no_disk();
}

static void a_disk_is_known_by_its_number(void **state)
{
	struct ub_backings was;

	(void)state;
	if (!make_disk(512))
		skip();
	prepare(&o, "loop", disk);
	must_open(&o);
	was = o.tgt.backings;
	o.tgt.backings = (struct ub_backings){0};
	finish(&o);
	was.at[0].ino++; /* its node was made anew */
	prepare(&o, "loop", disk);
	o.req.expect = &was;
	must_open(&o);
	finish(&o);
	was.at[0].rdev++;
	prepare(&o, "loop", disk);
	o.req.expect = &was;
	is_refused(&o, -ESTALE, UB_STAGE_BACKING, "not the block device");
	ub_backings_done(&was);
	no_disk();
}

static void a_file_is_served_as_well_as_its_file_system_can(void **state)
{
	static const char *const names[] = {"image", "/dev/shm/ublk-unit-image"};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(names); i++) {
		make_file(names[i], SIZE);
		for (int direct = -1; direct <= 0; direct++) {
			prepare(&o, "loop", names[i]);
			*(int *)arg(&o, "direct") = direct;
			must_open(&o);
			assert_int_equal(*(int *)arg(&o, "direct"),
					 !!(fcntl(o.tgt.files[0], F_GETFL) & O_DIRECT));
			assert_int_equal(o.tgt.logical_block_size, 512);
			exercise();
			finish(&o);
		}
		assert_int_equal(unlink(names[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_served_with_its_own_blocks),
		cmocka_unit_test(a_disk_in_small_blocks_is_buffered),
		cmocka_unit_test(a_disk_is_served_once),
		cmocka_unit_test(a_write_protected_disk_is_read_only_and_said),
		cmocka_unit_test(a_disk_is_known_by_its_number),
		cmocka_unit_test(a_file_is_served_as_well_as_its_file_system_can),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
