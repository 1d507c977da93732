/* SPDX-License-Identifier: MIT */
/* A record as text: what comes back is what went in. */
#include "record_old.h"
#include "record_text.h"

#include <json-c/json.h>

static void everything_comes_back(void **state)
{
	_cleanup_free_ char *again = NULL;

	(void)state;
	assert_int_equal(ub_record_from_json(text, strlen(text), &got, NULL), 0);
	assert_string_equal(got.version, "0.1.0");
	assert_int_equal(got.id, 3);
	assert_true(got.token == TOKEN);
	assert_int_equal(got.queues, 4);
	assert_int_equal(got.depth, 64);
	assert_int_equal(got.max_io, 1 << 20);
	assert_true(got.flags == 0x2c85b);
	assert_int_equal(got.data_path, UB_PATH_COPY);
	assert_int_equal(got.pid, 812);
	assert_true(got.start_time == UINT64_MAX);
	assert_int_equal(got.threads, 4);
	assert_true(got.taking_over);
	assert_string_equal(got.backings.at[0].path, ODD_PATH);
	assert_true(got.backings.at[0].dev == UINT64_MAX &&
		    got.backings.at[0].ino == UINT64_MAX - 1);
	assert_true(got.backings.at[0].size == INT64_MAX && got.backings.at[0].writable);
	assert_int_equal(got.write_error, -5);
	assert_int_equal(got.notes.count, 2);
	assert_string_equal(got.notes.text[1], "odd \xff bytes");
	assert_string_equal(got.spec.name, "disk");
	assert_int_equal(got.spec.id, -1);
	assert_int_equal(got.spec.queues, 4);
	assert_int_equal(got.spec.recovery, UB_RECOVERY_REQUEUE);
	assert_true(got.spec.read_only && !got.spec.no_lock);
	assert_string_equal(got.spec.target->name, "loop");
	again = ub_record_to_json(&got, false);
	assert_string_equal(again, text);
}

static void what_a_server_has_in_memory_comes_back(void **state)
{
	const struct ub_record_memory *m = &got.memory, *want = &made.memory;

	(void)state;
	assert_int_equal(ub_record_from_json(text, strlen(text), &got, NULL), 0);
	assert_true(m->base == want->base && m->layout.stride == want->layout.stride);
	assert_true(m->target_base == want->target_base && m->target_size == want->target_size);
	assert_int_equal(m->layout.queues, 4);
	assert_memory_equal(m->layout.offset, want->layout.offset, sizeof(want->layout.offset));
	assert_memory_equal(m->layout.size, want->layout.size, sizeof(want->layout.size));
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++) {
		const struct ub_plan_region *a = &m->plan[kind], *b = &want->plan[kind];

		assert_true(a->mapped == b->mapped && a->start == b->start && a->most == b->most);
		assert_true(a->locked == b->locked && a->pinned == b->pinned);
		assert_true(a->charged == b->charged);
		assert_int_equal(a->kind, kind);
	}
}

/* What only informs is not worth a device that nobody recovers. */
static void a_plan_that_makes_no_sense_is_not_known(void **state)
{
	char mapped[64];

	(void)state;
	(void)snprintf(mapped, sizeof(mapped), "\"mapped\":%llu",
		       (unsigned long long)made.memory.plan[UB_REGION_BUFFERS].mapped);
	taken(mapped, "\"mapped\":-1");
	assert_int_equal(got.memory.plan[UB_REGION_BUFFERS].mapped, 0);
	taken(mapped, "\"mapped\":\"1\"");
	taken(mapped, "\"mapped\":9223372036854775808");
	assert_int_equal(got.memory.plan[UB_REGION_BUFFERS].mapped, 0);
	taken(mapped, "\"map\":1");
	assert_true(got.memory.planned);
	taken("\"plan\":{", "\"plan\":1,\"plan2\":{");
	assert_false(got.memory.planned);
}

static void what_only_informs_may_be_wrong_or_missing(void **state)
{
	(void)state;
	taken("\"path_reason\":\"best\"", "\"path_reason\":\"moon\"");
	assert_int_equal(got.spec.path_reason, -1);
	taken("\"path_reason\"", "\"reason\"");
	assert_int_equal(got.spec.path_reason, -1);
	taken("\"data_path\":\"copy\"", "\"data_path\":\"magic\"");
	taken("\"granted\"", "\"granted2\"");
	taken("\"memory\"", "\"memory2\"");
	assert_int_equal(got.memory.base, 0);
	taken("\"pid\":812", "\"pid\":2147483648");
	assert_int_equal(got.pid, 0);
	taken("\"pid\":812", "\"pid\":1e9999");
	taken("\"server\"", "\"server2\"");
	assert_true(got.start_time == 0 && !got.taking_over);
	taken("\"version\":\"0.1.0\"", "\"version\":\"a version with a name of many words\"");
	taken("\"version\"", "\"version2\"");
	assert_string_equal(got.version, "");
	taken("\"rounded\"", "{}");
	assert_int_equal(got.notes.count, 1);
	taken("\"notes\":[", "\"notes\":1,\"x\":[");
	taken("\"spec\"", "\"spec2\"");
	assert_int_equal(got.spec.queues, 1);
	taken("\"write_error\"", "\"error2\"");
	assert_int_equal(got.write_error, 0);
}

static void what_a_server_needs_is_not_guessed(void **state)
{
	(void)state;
	refused("\"schema\"", "\"schema2\"", "schema is missing");
	refused("\"id\":3", "\"id2\":3", "id is missing");
	refused("\"token\"", "\"token2\"", "token is missing");
	refused("\"target\":{\n    \"type\"", "\"target2\":{\n    \"type\"", "target is missing");
	refused("\"type\"", "\"type2\"", "target.type is missing");
	refused("\"file\"", "\"file2\"", "target.file is missing");
	refused("\"backing\"", "\"backing2\"", "backing is missing");
	refused("\"ino\"", "\"ino2\"", "backing.ino is missing");
}

static void options_of_one_call_go_only_to_a_server(void **state)
{
	_cleanup_free_ char *launch = ub_record_to_json(&made, true);

	(void)state;
	assert_null(strstr(text, "no_wait"));
	assert_null(strstr(text, "timeout"));
	assert_int_equal(ub_record_from_json(launch, strlen(launch), &got, NULL), 0);
	assert_true(got.spec.no_wait);
	assert_int_equal(got.spec.timeout_s, 7);
}

static void a_specification_that_is_not_resolved_comes_back(void **state)
{
	_cleanup_free_ char *launch = NULL;

	(void)state;
	made.spec.recovery = UB_RECOVERY_DEFAULT;
	made.data_path = UB_PATH_AUTO;
	free(made.spec.name);
	made.spec.name = NULL;
	ub_backings_done(&made.backings);
	launch = ub_record_to_json(&made, true);
	assert_int_equal(ub_record_from_json(launch, strlen(launch), &got, NULL), 0);
	assert_int_equal(got.spec.recovery, UB_RECOVERY_DEFAULT);
	assert_null(got.spec.name);
	assert_int_equal(got.backings.count, 0);
}

static void what_a_backing_is_known_by_comes_back_or_was_not_written(void **state)
{
	_cleanup_free_ char *with = NULL;
	struct ub_backing *b = &made.backings.at[0];

	(void)state;
	b->real = strdup(ODD_PATH);
	b->offset = INT64_MAX - 1;
	b->length = 1;
	b->handle = strdup("1:0c00000012345678");
	b->handle_opens = b->unsteady = true;
	b->born_ns = 1764115200123456789;
	b->fsid = UINT64_MAX;
	b->diskseq = 25;
	b->disk_id = strdup("LVM-abc/0");
	with = ub_record_to_json(&made, false);
	assert_int_equal(ub_record_from_json(with, strlen(with), &got, NULL), 0);
	assert_string_equal(got.backings.at[0].real, b->real);
	assert_string_equal(got.backings.at[0].handle, b->handle);
	assert_string_equal(got.backings.at[0].disk_id, b->disk_id);
	assert_true(got.backings.at[0].offset == b->offset && got.backings.at[0].length == 1);
	assert_true(got.backings.at[0].handle_opens && got.backings.at[0].unsteady);
	assert_true(got.backings.at[0].born_ns == b->born_ns &&
		    got.backings.at[0].fsid == UINT64_MAX);
	assert_int_equal(got.backings.at[0].diskseq, 25);
	ub_record_done(&got);

	/* As an older version has left it. */
	for (const char *const *key = (const char *const[]){"real", "offset", "length", "handle",
							    "handle_opens", "unsteady", "born_ns",
							    "fsid", "diskseq", "disk_id", NULL};
	     *key; key++) {
		char *at = strstr(strstr(with, "\"backing\""), *key);

		assert_non_null(at);
		*at = 'x';
	}
	assert_int_equal(ub_record_from_json(with, strlen(with), &got, NULL), 0);
	assert_null(got.backings.at[0].handle);
	assert_int_equal(got.backings.at[0].length, 0);
}

static void add_backing(const char *path, uint64_t ino)
{
	made.backings.at[made.backings.count++] =
		(struct ub_backing){.path = strdup(path), .ino = ino};
}

static void several_backings_come_back_and_are_no_single_one(void **state)
{
	(void)state;
	add_backing("/b", 1);
	add_backing("/c", 2);
	free(text);
	text = ub_record_to_json(&made, false);
	assert_int_equal(ub_record_from_json(text, strlen(text), &got, NULL), 0);
	assert_int_equal(got.backings.count, 3);
	assert_string_equal(got.backings.at[0].path, ODD_PATH);
	assert_string_equal(got.backings.at[2].path, "/c");
	assert_int_equal(got.backings.at[2].ino, 2);
	assert_true(got.backings.at[0].writable && !got.backings.at[1].writable);
	/* A version that knows of one alone finds none, and refuses the record. */
	assert_null(strstr(text, "\"backing\""));
}

static void several_backings_are_refused_if_one_is_wrong_or_there_are_too_many(void **state)
{
	(void)state;
	add_backing("/b", 1);
	free(text);
	text = ub_record_to_json(&made, false);
	refused("\"/b\"", "\"b\"", "backings.path is not absolute");
	refused("\"backings\"", "\"backings2\"", "backing is missing");
	refused("\"backings\":[", "\"backings\":[3,", "backings.path is missing: it is no object");
	refused("\"backings\":[", "\"backings\":[],\"x\":[", "backings are none, or more");
	refused("\"backings\":[", "\"backings\":[{},{},{},", "backings are none, or more");
	refused("\"backings\":[", "\"backings\":{},\"x\":[", "backings has the wrong type");
}

static void what_is_exported_comes_back_whole_or_is_refused(void **state)
{
	_cleanup_free_ char *with = NULL;

	(void)state;
	made.export = (struct ub_export){1ULL << 40, 0x165, 1, 4096, UINT32_MAX};
	made.flushed = true;
	with = ub_record_to_json(&made, false);
	assert_int_equal(ub_record_from_json(with, strlen(with), &got, NULL), 0);
	assert_memory_equal(&got.export, &made.export, sizeof(got.export));
	assert_true(got.flushed);
	ub_record_done(&got);
	*strstr(strstr(with, "\"export\""), "block_max") = 'x';
	assert_int_equal(ub_record_from_json(with, strlen(with), &got, NULL), -EBADMSG);
}

/* Is all of @a in @b? What is said of @path is told. */
static void is_within(struct json_object *a, struct json_object *b, const char *path)
{
	if (!json_object_is_type(a, json_type_object)) {
		if (!json_object_equal(a, b))
			fail_msg("%s is %s, and was %s", path, json_object_to_json_string(b),
				 json_object_to_json_string(a));
		return;
	}
	json_object_object_foreach(a, key, value)
	{
		struct json_object *other = NULL;

		if (!json_object_object_get_ex(b, key, &other))
			fail_msg("%s.%s is gone", path, key);
		is_within(value, other, key);
	}
}

static void a_record_of_the_version_before_is_read_and_that_one_reads_ours(void **state)
{
	struct json_object *old = json_tokener_parse(old_record), *new;
	_cleanup_free_ char *again = NULL;

	(void)state;
	assert_int_equal(ub_record_from_json(old_record, strlen(old_record), &got, NULL), 0);
	assert_int_equal(got.pid, 194);
	assert_int_equal(got.spec.path_reason, UB_REASON_DRIVER);
	assert_int_equal(got.backings.at[0].ino, 13);
	assert_true(got.memory.planned);
	assert_int_equal(got.memory.plan[UB_REGION_PROGRAM].mapped, 2711552);
	/* It wanted every field that it knew, and left out all others. */
	again = ub_record_to_json(&got, false);
	new = json_tokener_parse(again);
	is_within(old, new, "it");
	json_object_put(old);
	json_object_put(new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_comes_back),
		TEST(what_a_server_has_in_memory_comes_back),
		TEST(a_plan_that_makes_no_sense_is_not_known),
		TEST(what_only_informs_may_be_wrong_or_missing),
		TEST(what_a_server_needs_is_not_guessed),
		TEST(options_of_one_call_go_only_to_a_server),
		TEST(a_specification_that_is_not_resolved_comes_back),
		TEST(what_a_backing_is_known_by_comes_back_or_was_not_written),
		TEST(what_is_exported_comes_back_whole_or_is_refused),
		TEST(several_backings_come_back_and_are_no_single_one),
		TEST(several_backings_are_refused_if_one_is_wrong_or_there_are_too_many),
		TEST(a_record_of_the_version_before_is_read_and_that_one_reads_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
