/* SPDX-License-Identifier: MIT */
/* What several threads have kept is sent again to a server that does things in any order, and may have done them. */
#include "nbd/resend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"

#define RINGS 4U
#define SIZE 8192U
#define BLOCKS 24U

static char memory[RINGS][SIZE] __attribute__((aligned(64)));
static struct ub_nbd_kept rings[RINGS];

static void begin(void)
{
	for (unsigned i = 0; i < RINGS; i++)
		rings[i] = (struct ub_nbd_kept){.ring = memory[i],
						.size = SIZE,
						.beside = i + 1 < RINGS ? &rings[i + 1] : NULL};
}

static struct ub_nbd_change *keep(unsigned ring, uint64_t number, uint32_t offset, uint32_t len)
{
	struct ub_nbd_change *change = ub_nbd_kept_room(&rings[ring], len);

	if (!change)
		return NULL;
	memset(ub_nbd_change_data(change), (int)(number % 251 + 1), len);
	ub_nbd_keep(&rings[ring], change);
	change->len = len;
	change->number = number;
	nbd_put64(change->head + 8, number);
	change->offset = offset;
	change->command = NBD_CMD_WRITE;
	return change;
}

/* A server's disk, a byte a block. */
static void carry_out(char *disk, struct ub_nbd_change *change)
{
	memcpy(disk + change->offset, ub_nbd_change_data(change), change->len);
}

/* Sends all that is kept, and has it answered in any order. */
static void resend(uint64_t flushed, char *disk)
{
	struct ub_nbd_change *sent[UB_NBD_RESEND_MOST], *change;
	struct ub_nbd_resend r;
	unsigned count = 0;

	ub_nbd_resend_begin(&r, rings, flushed);
	for (;;) {
		while ((count == 0 || any(3)) && (change = ub_nbd_resend_next(&r))) {
			assert_true(change->number >= flushed);
			assert_true(count < UB_NBD_RESEND_MOST);
			sent[count++] = change;
		}
		if (!count)
			break;
		assert_false(ub_nbd_resend_is_over(&r));
		unsigned i = any(count);

		change = sent[i];
		sent[i] = sent[--count];
		carry_out(disk, change);
		assert_true(ub_nbd_resend_answered(&r, nbd_cookie(change->head)));
		assert_false(ub_nbd_resend_answered(&r, nbd_cookie(change->head)));
	}
	assert_true(ub_nbd_resend_is_over(&r));
}

static void later_changes_stay(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		char right[BLOCKS] = {0}, stable[BLOCKS], disk[BLOCKS];
		uint64_t number = round % 2 ? INT32_MAX - 20ULL : 0, flushed = number;
		unsigned changes = any(120);

		begin();
		memcpy(stable, right, sizeof(right));
		for (unsigned i = 0; i < changes; i++) {
			uint32_t offset = any(BLOCKS), len = 1 + any(BLOCKS - offset);
			struct ub_nbd_change *change = keep(any(RINGS), number, offset, len);

			assert_non_null(change);
			carry_out(right, change);
			number++;
			if (any(50) == 0) {
				flushed = number;
				memcpy(stable, right, sizeof(right));
			}
		}
		/* It has lost all that it could, or nothing. */
		memcpy(disk, round % 3 ? stable : right, sizeof(disk));
		resend(flushed, disk);
		assert_memory_equal(disk, right, sizeof(disk));
		resend(flushed, disk);
		assert_memory_equal(disk, right, sizeof(disk));
	}
}

static void no_more_than_so_many_at_once(void **state)
{
	struct ub_nbd_resend r;
	unsigned count = 0;

	(void)state;
	begin();
	for (unsigned i = 0; i < UB_NBD_RESEND_MOST + 2; i++)
		assert_non_null(keep(i % RINGS, i, i, 1));
	ub_nbd_resend_begin(&r, rings, 0);
	while (ub_nbd_resend_next(&r))
		count++;
	assert_int_equal(count, UB_NBD_RESEND_MOST);
	assert_false(ub_nbd_resend_answered(&r, UB_NBD_RESEND_MOST));
	assert_true(ub_nbd_resend_answered(&r, 7));
	assert_non_null(ub_nbd_resend_next(&r));
	assert_null(ub_nbd_resend_next(&r));
}

static void nothing_kept_is_over_at_once(void **state)
{
	struct ub_nbd_kept none = {0};
	struct ub_nbd_resend r;

	(void)state;
	ub_nbd_resend_begin(&r, &none, 0);
	assert_null(ub_nbd_resend_next(&r));
	assert_true(ub_nbd_resend_is_over(&r));
	begin();
	assert_non_null(keep(2, 5, 0, 1));
	ub_nbd_resend_begin(&r, rings, 6);
	assert_true(ub_nbd_resend_is_over(&r));
	assert_int_equal(ub_nbd_kept_used(&rings[2]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_changes_stay),
		cmocka_unit_test(no_more_than_so_many_at_once),
		cmocka_unit_test(nothing_kept_is_over_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
