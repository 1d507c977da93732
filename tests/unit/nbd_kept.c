/* SPDX-License-Identifier: MIT */
/* The ring of changes that a server may lose, held against a list of all of them. */
#include "nbd/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random.h"

#define SIZE 4096U
#define MOST 1000U

/* The data of a change is its number, all over. */
static void check_all(const struct ub_nbd_kept *kept, const uint32_t *lens, uint64_t from,
		      uint64_t to)
{
	struct ub_nbd_change *change;
	uint64_t place = 0;

	for (uint64_t i = from; i < to; i++) {
		const unsigned char *data;

		change = ub_nbd_kept_next(kept, &place);
		assert_non_null(change);
		assert_int_equal(change->number, i);
		assert_int_equal(change->len, lens[i]);
		data = ub_nbd_change_data(change);
		for (uint32_t k = 0; i % 5 && k < change->len; k++)
			assert_int_equal(data[k], (unsigned char)i);
	}
	assert_null(ub_nbd_kept_next(kept, &place));
	assert_true(ub_nbd_kept_used(kept) <= SIZE);
}

static void keeps_all_in_order(void **state)
{
	static char ring[SIZE] __attribute__((aligned(64)));
	struct ub_nbd_kept kept = {.ring = ring, .size = SIZE};
	uint32_t lens[MOST], full = 0;
	uint64_t from = 0, to = 0;

	(void)state;
	while (to < MOST) {
		uint32_t len = 1 + any(900);
		struct ub_nbd_change *change;

		/* Each fifth has no data, however much it is of. */
		change = ub_nbd_kept_room(&kept, to % 5 ? len : 0);
		if (change) {
			change->number = to;
			change->len = len;
			memset(ub_nbd_change_data(change), (int)to, to % 5 ? len : 0);
			/* Looked for once more, as if it had come to nothing. */
			assert_ptr_equal(ub_nbd_kept_room(&kept, to % 5 ? len : 0), change);
			change->number = to;
			change->len = len;
			ub_nbd_keep(&kept, change);
			lens[to++] = len;
		} else {
			full++;
			from += 1 + any((uint32_t)(to - from));
			ub_nbd_kept_drop(&kept, from);
		}
		check_all(&kept, lens, from, to);
	}
	assert_true(full > 10);
	ub_nbd_kept_drop(&kept, to);
	assert_int_equal(ub_nbd_kept_used(&kept), 0);
	check_all(&kept, lens, to, to);
}

static bool keep(struct ub_nbd_kept *kept, uint32_t bytes)
{
	struct ub_nbd_change *change = ub_nbd_kept_room(kept, bytes);

	if (change)
		ub_nbd_keep(kept, change);
	return change != NULL;
}

static void takes_what_fits_alone(void **state)
{
	static char ring[SIZE] __attribute__((aligned(64)));
	struct ub_nbd_kept kept = {.ring = ring, .size = SIZE}, none = {0};

	(void)state;
	assert_null(ub_nbd_kept_room(&none, 0));
	assert_null(ub_nbd_kept_room(&kept, SIZE));
	assert_null(ub_nbd_kept_room(&kept, UINT32_MAX));
	assert_true(keep(&kept, 0));
	ub_nbd_kept_drop(&kept, 1);
	assert_true(keep(&kept, SIZE - UB_NBD_CHANGE_SIZE));
	assert_false(keep(&kept, 0));
	ub_nbd_kept_drop(&kept, 0);
	assert_false(keep(&kept, 0));
	ub_nbd_kept_drop(&kept, 1);
	assert_true(keep(&kept, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_all_in_order),
		cmocka_unit_test(takes_what_fits_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
