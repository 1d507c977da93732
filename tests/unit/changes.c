/* SPDX-License-Identifier: MIT */
/* What is told when a device is seen again, and is another way. */
#include "device/changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "device/device.h"
#include "kernel/uapi.h"

#define LIVE UBLK_S_DEV_LIVE
#define DEAD UBLK_S_DEV_DEAD
#define QUIESCED UBLK_S_DEV_QUIESCED

static char told[512];

static void note(const struct ub_change *change, void *arg)
{
	size_t len = strlen(told);

	(void)arg;
	len += (size_t)snprintf(told + len, sizeof(told) - len, "%s%u %s", len ? ", " : "",
				change->dev->id, ub_change_names[change->kind]);
	if (change->kind == UB_CHANGE_ERROR)
		(void)snprintf(told + len, sizeof(told) - len, " %u:%u", change->op,
			       (unsigned)change->errors);
}

#define LIST(name) name, UB_ARRAY_SIZE(name)

/* What is told between two looks, such as "0 added, 0 live". */
static const char *changes(const struct ub_seen *before, size_t nr_before, struct ub_seen *after,
			   size_t nr_after)
{
	told[0] = '\0';
	ub_changes_find(before, nr_before, after, nr_after, note, NULL);
	return told;
}

static const char *change(struct ub_seen before, struct ub_seen after)
{
	return changes(&before, 1, &after, 1);
}

static struct ub_seen dev(uint32_t id, unsigned state, int32_t pid)
{
	return (struct ub_seen){
		.id = id,
		.token = 0x1000 + id,
		.birth = 77,
		.managed = true,
		.state = state,
		.settled = true,
		.pid = pid,
		.start_time = pid ? 1000 + (uint64_t)pid : 0,
		.size = 1 << 20,
	};
}

static void nothing_is_told_of_what_is_as_it_was(void **state)
{
	struct ub_seen before[] = {dev(0, LIVE, 10), dev(1, QUIESCED, 0), dev(7, DEAD, 0)};
	struct ub_seen after[] = {dev(0, LIVE, 10), dev(1, QUIESCED, 0), dev(7, DEAD, 0)};

	(void)state;
	assert_string_equal(changes(LIST(before), LIST(after)), "");
	assert_string_equal(changes(NULL, 0, NULL, 0), "");
}

static void what_is_new_is_added_and_then_whatever_it_is_already(void **state)
{
	struct ub_seen before[] = {dev(3, LIVE, 10)};
	struct ub_seen after[] = {dev(0, LIVE, 11), dev(3, LIVE, 10), dev(4, DEAD, 0),
				  dev(5, QUIESCED, 0)};

	(void)state;
	assert_string_equal(changes(LIST(before), LIST(after)),
			    "0 added, 0 live, 4 added, 5 added, 5 quiesced");
}

static void what_is_gone_is_deleted_wherever_it_was(void **state)
{
	struct ub_seen before[] = {dev(0, LIVE, 10), dev(3, LIVE, 11), dev(4, DEAD, 0)};
	struct ub_seen after[] = {dev(3, LIVE, 11)};

	(void)state;
	assert_string_equal(changes(LIST(before), LIST(after)), "0 deleted, 4 deleted");
	assert_string_equal(changes(LIST(before), NULL, 0), "0 deleted, 3 deleted, 4 deleted");
}

static void a_number_that_changes_hands_is_deleted_and_added(void **state)
{
	struct ub_seen before = dev(2, LIVE, 10), after = dev(2, LIVE, 11);

	(void)state;
	after.token = 9;
	assert_string_equal(change(before, after), "2 deleted, 2 added, 2 live");
	/* Of other programs' devices there is no token. */
	before.token = after.token = 0;
	after.birth = 78;
	assert_string_equal(change(before, after), "2 deleted, 2 added, 2 live");
	after.birth = 0;
	assert_string_equal(change(before, after), "2 recovered");
}

static void each_state_is_told_once(void **state)
{
	(void)state;
	assert_string_equal(change(dev(0, DEAD, 0), dev(0, LIVE, 10)), "0 live");
	assert_string_equal(change(dev(0, LIVE, 10), dev(0, QUIESCED, 0)), "0 quiesced");
	assert_string_equal(change(dev(0, LIVE, 10), dev(0, UBLK_S_DEV_FAIL_IO, 0)), "0 failed");
	assert_string_equal(change(dev(0, LIVE, 10), dev(0, DEAD, 0)), "0 dead");
	assert_string_equal(change(dev(0, QUIESCED, 0), dev(0, LIVE, 11)), "0 recovered");
	assert_string_equal(change(dev(0, UBLK_S_DEV_FAIL_IO, 0), dev(0, LIVE, 11)), "0 recovered");
}

static void another_server_is_told_also_if_none_was_missed_between(void **state)
{
	struct ub_seen again = dev(0, LIVE, 10);

	(void)state;
	assert_string_equal(change(dev(0, LIVE, 10), dev(0, LIVE, 11)), "0 recovered");
	again.start_time++;
	assert_string_equal(change(dev(0, LIVE, 10), again), "0 recovered");
	/* One that can't be seen for a while is no other one. */
	assert_string_equal(change(dev(0, LIVE, 10), dev(0, LIVE, 0)), "");
}

static void what_is_not_settled_is_as_it_was(void **state)
{
	struct ub_seen before = dev(0, LIVE, 10), after = dev(0, DEAD, 10);

	(void)state;
	after.settled = false;
	assert_string_equal(changes(&before, 1, &after, 1), "");
	assert_int_equal(after.state, LIVE);
	/* The driver says live, and there is no disk yet. */
	after = dev(0, LIVE, 10);
	after.settled = false;
	assert_string_equal(changes(NULL, 0, &after, 1), "0 added");
	assert_int_equal(after.state, DEAD);
	before = after;
	after = dev(0, LIVE, 10);
	assert_string_equal(changes(&before, 1, &after, 1), "0 live");
}

static void a_server_that_takes_over_is_told_when_it_has(void **state)
{
	struct ub_seen before = dev(0, LIVE, 10), after = dev(0, QUIESCED, 11);

	(void)state;
	assert_string_equal(changes(&before, 1, &after, 1), "");
	assert_string_equal(change(after, dev(0, LIVE, 11)), "0 recovered");
	/* It has died on its way. */
	assert_string_equal(change(after, dev(0, QUIESCED, 0)), "0 quiesced");
	/* Its own server has parked it, and has not ended yet. */
	assert_string_equal(change(before, dev(0, QUIESCED, 10)), "0 quiesced");
	assert_string_equal(change(dev(0, QUIESCED, 0), dev(0, QUIESCED, 11)), "");
}

static void another_size_is_told_if_there_was_one(void **state)
{
	struct ub_seen before = dev(0, LIVE, 10), after = dev(0, LIVE, 10);

	(void)state;
	after.size *= 2;
	assert_string_equal(change(before, after), "0 resized");
	before.size = 0;
	assert_string_equal(change(before, after), "");
	before = dev(0, DEAD, 0);
	assert_string_equal(change(before, after), "0 live");
	after.size = 0;
	before = dev(0, LIVE, 10);
	assert_string_equal(change(before, after), "");
}

static struct ub_seen counts(unsigned state, uint64_t since, uint64_t reads, uint64_t writes)
{
	struct ub_seen seen = dev(0, state, state == LIVE ? 10 : 0);

	seen.counted = true;
	seen.since = since;
	seen.errors[UB_STATS_READ] = reads;
	seen.errors[UB_STATS_WRITE] = writes;
	return seen;
}

static void errors_are_told_by_operation_as_many_as_have_come(void **state)
{
	struct ub_seen added = counts(LIVE, 5, 1, 0);

	(void)state;
	assert_string_equal(change(counts(LIVE, 5, 1, 2), counts(LIVE, 5, 4, 3)),
			    "0 error 0:3, 0 error 1:1");
	assert_string_equal(change(counts(LIVE, 5, 4, 3), counts(QUIESCED, 5, 4, 4)),
			    "0 quiesced, 0 error 1:1");
	assert_string_equal(change(counts(LIVE, 5, 4, 3), counts(LIVE, 5, 4, 3)), "");
	/* Counting has begun anew. */
	assert_string_equal(change(counts(LIVE, 5, 4, 3), counts(LIVE, 6, 0, 2)), "0 error 1:2");
	/* Of a new device all are. */
	assert_string_equal(changes(NULL, 0, &added, 1), "0 added, 0 live, 0 error 0:1");
	assert_string_equal(change(dev(0, DEAD, 0), counts(LIVE, 5, 1, 0)), "0 live, 0 error 0:1");
	/* What was counted while nobody could read it is no news. */
	assert_string_equal(change(dev(0, LIVE, 10), counts(LIVE, 5, 1, 0)), "");
	assert_string_equal(change(counts(LIVE, 5, 1, 0), dev(0, LIVE, 10)), "");
}

static void a_stall_is_told_when_it_begins_and_ends_with_the_same_server(void **state)
{
	struct ub_seen well = dev(0, LIVE, 10), stalled = well, more = well,
		       gone = dev(0, QUIESCED, 0);

	(void)state;
	stalled.stall.ios[UB_STATS_WRITE] = 1;
	more.stall.ios[UB_STATS_READ] = 3;
	assert_string_equal(change(well, stalled), "0 stalled");
	assert_string_equal(change(stalled, more), "");
	assert_string_equal(change(stalled, well), "0 unstalled");
	/* What is left in the file by a server that has died. */
	gone.stall = stalled.stall;
	assert_string_equal(change(stalled, gone), "0 quiesced");
	assert_string_equal(change(gone, well), "0 recovered");
}

static void who_restarts_is_told_of_where_it_is_ours(void **state)
{
	struct ub_seen before = dev(0, LIVE, 10), after = dev(0, LIVE, 10);

	(void)state;
	after.restart = UB_RESTART_UNWATCHED;
	assert_string_equal(change(before, after), "0 restart");
	/* It has been found to be ours just now. */
	before.managed = false;
	assert_string_equal(change(before, after), "");
}

static void users_are_told_when_they_are_others_or_none(void **state)
{
	static char mount[] = "mounted on /mnt", open[] = "open by dd (8)";
	char *both[] = {mount, open}, *one[] = {mount}, *other[] = {open};
	struct ub_seen none = dev(0, LIVE, 10), a = none, b = none, c = none;

	(void)state;
	a.users = one;
	b.users = both;
	c.users = other;
	a.nr_users = c.nr_users = 1;
	b.nr_users = 2;
	assert_string_equal(change(none, a), "0 used");
	assert_string_equal(change(a, a), "");
	assert_string_equal(change(a, b), "0 used");
	assert_string_equal(change(a, c), "0 used");
	assert_string_equal(change(b, none), "0 unused");
	assert_string_equal(changes(&b, 1, NULL, 0), "0 deleted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_of_what_is_as_it_was),
		cmocka_unit_test(what_is_new_is_added_and_then_whatever_it_is_already),
		cmocka_unit_test(what_is_gone_is_deleted_wherever_it_was),
		cmocka_unit_test(a_number_that_changes_hands_is_deleted_and_added),
		cmocka_unit_test(each_state_is_told_once),
		cmocka_unit_test(another_server_is_told_also_if_none_was_missed_between),
		cmocka_unit_test(what_is_not_settled_is_as_it_was),
		cmocka_unit_test(a_server_that_takes_over_is_told_when_it_has),
		cmocka_unit_test(another_size_is_told_if_there_was_one),
		cmocka_unit_test(errors_are_told_by_operation_as_many_as_have_come),
		cmocka_unit_test(a_stall_is_told_when_it_begins_and_ends_with_the_same_server),
		cmocka_unit_test(who_restarts_is_told_of_where_it_is_ours),
		cmocka_unit_test(users_are_told_when_they_are_others_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
