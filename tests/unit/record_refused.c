/* SPDX-License-Identifier: MIT */
/* A record as text: nothing hostile comes in. */
#include "record_text.h"

static void a_truncated_record_is_refused_wherever_it_ends(void **state)
{
	size_t len = strlen(text);

	(void)state;
	/* Its last byte ends the line. */
	for (size_t i = 0; i < len - 1; i++) {
		/* In memory of its own, so that reading over its end is noticed. */
		char *part = malloc(i ? i : 1);

		memcpy(part, text, i);
		assert_int_equal(ub_record_from_json(part, i, &got, NULL), -EBADMSG);
		free(part);
	}
	assert_int_equal(ub_record_from_json(text, len - 1, &got, NULL), 0);
}

static void a_changed_byte_is_survived(void **state)
{
	static const char bytes[] = "\0\"{}[],:\\-9e\xff";
	size_t len = strlen(text);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char old = text[i];

		for (size_t j = 0; j < sizeof(bytes) - 1; j++) {
			struct ub_error err = {0};
			int ret;

			text[i] = bytes[j];
			ub_record_done(&got);
			ret = ub_record_from_json(text, len, &got, &err);
			assert_true(ret == 0 || ret == -EBADMSG);
			assert_int_equal(err.code, ret);
		}
		text[i] = old;
	}
}

static void wrong_types_are_refused(void **state)
{
	(void)state;
	refused("\"id\":3", "\"id\":\"3\"", "id");
	refused("\"id\":3", "\"id\":3.0", "id");
	refused("\"id\":3", "\"id\":null", "id");
	refused("\"id\":3", "\"id\":[3]", "id");
	refused("\"token\":\"0x", "\"token\":\"", "token");
	refused("\"token\":\"0xf", "\"token\":\"0xg", "token");
	refused("\"queues\":4", "\"queues\":true", "spec.queues");
	refused("\"read_only\":true", "\"read_only\":1", "spec.read_only");
	refused("\"direct\":null", "\"direct\":\"auto\"", "target.direct");
	refused("\"name\":\"disk\"", "\"name\":7", "spec.name");
	refused("\"name\":\"disk\"", "\"name\":\"a\\u0000b\"", "NUL");
	refused("\"writable\":true", "\"writable\":\"true\"", "backing.writable");
	refused("\"write_error\":-5", "\"write_error\":5", "write_error");
	refused("\"target\":{", "\"target\":[],\"x\":{", "target");
	refused("\"path\":\"/srv", "\"path\":\"srv", "absolute");
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	refused("\"id\":3", "\"id\":-1", "negative");
	refused("\"id\":3", "\"id\":1048576", "range");
	refused("\"depth\":128", "\"depth\":0", "spec.depth");
	refused("\"depth\":128", "\"depth\":4097", "spec.depth");
	refused("\"max_io\":524288", "\"max_io\":0", "spec.max_io");
	refused("\"queues\":4", "\"queues\":4294967297", "spec.queues");
	refused("\"logical_block_size\":0", "\"logical_block_size\":1", "logical_block_size");
	refused("\"offset\":0", "\"offset\":9223372036854775808", "target.offset");
	refused("\"id\":3", "\"id\":99999999999999999999999999", "");
	refused("\"token\":\"0x", "\"token\":\"0x1", "token");
	refused("\"write_error\":-5", "\"write_error\":-99999", "write_error");
}

static void what_this_version_does_not_know_is_refused_or_left_out(void **state)
{
	(void)state;
	refused("ublk.record/1", "ublk.record/2", "schema");
	refused("\"type\":\"loop\"", "\"type\":\"qcow9\"", "target.type");
	refused("\"recovery\":\"requeue\"", "\"recovery\":\"pray\"", "spec.recovery");
	taken("\"id\":3", "\"id\":3,\"new\":{\"a\":[1,2]}");
	taken("\"rotational\":false,", "\"colour\":\"red\",");
	assert_false(got.spec.rotational);
}

static void other_json_is_refused(void **state)
{
	static const char *const texts[] = {"",   " ",    "{}",      "[]",           "null",
					    "1",  "\"\"", "{} {}",   "{\"schema\":", "{,}",
					    "{]", "nan",  "/* a */", "{'a':1}"};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(texts); i++)
		if (ub_record_from_json(texts[i], strlen(texts[i]), &got, NULL) != -EBADMSG)
			fail_msg("'%s' is taken", texts[i]);
	refused("\"notes\":[", "\"notes\":[[[[[[[[[[[[[[[[", "JSON");
	refused("\n}\n", "\n}\nx", "JSON");
}

static void deep_and_long_texts_are_refused(void **state)
{
	size_t len = (size_t)4 << 20;
	_cleanup_free_ char *deep = malloc(len);

	(void)state;
	memset(deep, '[', len);
	assert_int_equal(ub_record_from_json(deep, len, &got, NULL), -EBADMSG);
	assert_int_equal(ub_record_from_json(deep, 1 << 20, &got, NULL), -EBADMSG);
	memset(deep, ' ', len);
	memcpy(deep, text, strlen(text));
	assert_int_equal(ub_record_from_json(deep, len, &got, NULL), -EBADMSG);
	assert_int_equal(ub_record_from_json(deep, 1 << 20, &got, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_truncated_record_is_refused_wherever_it_ends),
		TEST(a_changed_byte_is_survived),
		TEST(wrong_types_are_refused),
		TEST(numbers_out_of_range_are_refused),
		TEST(what_this_version_does_not_know_is_refused_or_left_out),
		TEST(other_json_is_refused),
		TEST(deep_and_long_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
