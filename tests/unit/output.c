/* SPDX-License-Identifier: MIT */
/*
 * What is printed of devices as JSON. With a folder as its argument the program writes sample documents
 * there, which tests/cli/schema.bats holds against doc/schema.
 */
#include "output_support.h"

#include "json_doc.h"
#include "out.h"

static struct ub_doc *make_doc(const struct ub_field *fields)
{
	struct ub_doc *doc = ub_doc_new(UB_DEVICES_SCHEMA, "devices");

	for (size_t i = 0; i < UB_ARRAY_SIZE(devs); i++)
		ub_doc_add(doc, fields, &devs[i]);
	return doc;
}

static void json_has_native_types_and_null(void **state)
{
	struct ub_doc *doc = make_doc(ub_detail_fields);
	FILE *file = start();

	(void)state;
	assert_int_equal(ub_doc_print(doc, file), 0);
	(void)fclose(file);
	ub_doc_free(doc);
	has("\"schema\":\"ublk.devices/1\"");
	has("\"size\":1073741824");
	has("\"size\":null");
	has("\"path\":\"/dev/ublkb0\"");
	has("\"name\":\"vol/\\\"1\\\"\"");
	has("\"file\":\"/srv/a\\n\xef\xbf\xbd.img\"");
	has("\"direct\":true");
	has("\"known_by\":\"handle\"");
	has("\"handle\":\"1:0c000000\"");
	has("\"backing_identity\":null");
	has("\"target\":null");
	has("\"asked\":null");
	has("\"record_error\":\"it is not JSON\"");
	has("\"flags_raw\":\"0x10000000048\"");
	has_not("\"create\"");
	has("\"queues_detail\":[");
	has("\"kind\":\"mount\"");
}

static void all_that_can_be_asked_for_is_told(void **state)
{
	struct ub_doc *doc = make_doc(ub_detail_fields);
	FILE *file = start();
	const char *asked, *end;
	char key[64];

	(void)state;
	assert_int_equal(ub_doc_print(doc, file), 0);
	(void)fclose(file);
	ub_doc_free(doc);
	asked = strstr(printed, "\"asked\":{");
	assert_non_null(asked);
	end = strchr(asked, '}');
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		const char *at;

		(void)snprintf(key, sizeof(key), "\"%s\":", opt->name);
		for (char *c = key; *c; c++)
			*c = *c == '-' ? '_' : *c;
		at = strstr(asked, key);
		if ((at && at < end) != !opt->transient)
			fail_msg("%s in %.*s", key, (int)(end - asked), asked);
	}
}

static void every_device_has_every_field(void **state)
{
	(void)state;
	for (const struct ub_field *field = ub_device_fields; field->key; field++) {
		struct ub_doc *doc = make_doc(ub_device_fields);
		FILE *file = start();
		char key[64];
		const char *first;

		assert_int_equal(ub_doc_print(doc, file), 0);
		(void)fclose(file);
		ub_doc_free(doc);
		(void)snprintf(key, sizeof(key), "\"%s\":", field->key);
		first = strstr(printed, key);
		assert_non_null(first);
		assert_non_null(strstr(first + 1, key));
	}
}

static void a_failure_without_result_is_an_error_document(void **state)
{
	struct ub_out out;
	struct ub_error err = {0};
	FILE *file = start();

	(void)state;
	(void)ub_fail(&err, UB_STAGE_STOP, -EBUSY, "cannot remove ublkb3");
	ub_out_init(&out, file);
	out.json = true;
	assert_int_equal(ub_out_begin(&out, UB_DEVICES_SCHEMA, "devices"), 0);
	assert_int_equal(ub_out_fail(&out, &err, &(struct ub_facts){.verb = "del", .device = "3"}),
			 UB_EXIT_BUSY);
	assert_int_equal(ub_out_finish(&out), UB_EXIT_DONE);
	ub_out_done(&out);
	(void)fclose(file);
	has("\"schema\":\"ublk.error/1\"");
	has("\"code\":\"EBUSY\"");
	has("\"stage\":\"stop\"");
	has("\"device\":\"3\"");
	has("ublk del --force 3");
}

static void failures_beside_results_stand_in_the_envelope(void **state)
{
	struct ub_out out;
	struct ub_error err = {0};
	FILE *file = start();

	(void)state;
	(void)ub_fail(&err, UB_STAGE_LOOKUP, -ENODEV, "cannot find ublkb9");
	ub_out_init(&out, file);
	out.json = true;
	assert_int_equal(ub_out_begin(&out, UB_DEVICES_SCHEMA, "devices"), 0);
	ub_doc_add(out.doc, ub_detail_fields, &devs[0]);
	assert_int_equal(ub_out_fail(&out, &err, &(struct ub_facts){.verb = "show"}),
			 UB_EXIT_NO_DEVICE);
	assert_int_equal(ub_out_finish(&out), UB_EXIT_DONE);
	ub_out_done(&out);
	(void)fclose(file);
	has("\"schema\":\"ublk.devices/1\"");
	has("\"errors\":[");
	has("ENODEV");
}

static struct ub_out begin_lines(FILE *file)
{
	struct ub_out out;

	ub_out_init(&out, file);
	out.json = true;
	out.line_schema = UB_DEVICE_SCHEMA;
	assert_int_equal(ub_out_begin(&out, UB_DEVICES_SCHEMA, "devices"), 0);
	return out;
}

static void a_line_is_there_as_soon_as_it_is_added(void **state)
{
	FILE *file = start();
	struct ub_out out = begin_lines(file);
	size_t first;

	(void)state;
	ub_doc_add(out.doc, ub_device_fields, &devs[0]);
	first = printed_size;
	assert_true(first > 0 && printed[first - 1] == '\n');
	assert_ptr_equal(memchr(printed, '\n', first), printed + first - 1);
	ub_doc_add(out.doc, ub_device_fields, &devs[1]);
	assert_true(printed_size > first);
	assert_int_equal(ub_out_finish(&out), UB_EXIT_DONE);
	ub_out_done(&out);
	(void)fclose(file);
	has("{\"schema\":\"ublk.device/1\",\"id\":0,");
	has("\n{\"schema\":\"ublk.device/1\",\"id\":7,");
	has_not("devices");
}

static void a_line_that_cannot_be_written_is_a_failure(void **state)
{
	_cleanup_fclose_ FILE *file = fopen("/dev/full", "w");
	struct ub_out out = begin_lines(file);

	(void)state;
	ub_doc_add(out.doc, ub_device_fields, &devs[0]);
	assert_false(ub_out_flush(&out));
	assert_int_equal(ub_out_finish(&out), UB_EXIT_FAILED);
	ub_out_done(&out);
}

static void a_full_output_is_a_failure(void **state)
{
	_cleanup_fclose_ FILE *file = fopen("/dev/full", "w");
	struct ub_out out;

	(void)state;
	assert_non_null(file);
	ub_out_init(&out, file);
	(void)fputs("result\n", file);
	assert_int_equal(ub_out_finish(&out), UB_EXIT_FAILED);
	ub_out_done(&out);
}

/* Writes documents for the check of the schemas. */
static int write_doc(const char *folder, const char *name, const struct ub_field *fields, bool fail)
{
	struct ub_error err = {0};
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	struct ub_out out;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return -1;
	file = fopen(path, "w");
	if (!file)
		return -1;
	ub_out_init(&out, file);
	out.json = true;
	(void)ub_out_begin(&out, UB_DEVICES_SCHEMA, "devices");
	for (size_t i = 0; fields && i < UB_ARRAY_SIZE(devs); i++)
		ub_doc_add(out.doc, fields, &devs[i]);
	(void)ub_fail(&err, UB_STAGE_STOP, -EBUSY, "cannot remove ublkb3");
	if (fail)
		(void)ub_out_fail(&out, &err, &(struct ub_facts){.verb = "del", .device = "3"});
	(void)ub_out_finish(&out);
	ub_out_done(&out);
	return 0;
}

/* The same as lines. */
static int write_lines(const char *folder)
{
	struct ub_error err = {0};
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	struct ub_doc *gone;
	struct ub_out out;

	if (asprintf(&path, "%s/lines.json", folder) < 0)
		return -1;
	file = fopen(path, "w");
	if (!file)
		return -1;
	ub_out_init(&out, file);
	out.json = true;
	out.line_schema = UB_DEVICE_SCHEMA;
	(void)ub_out_begin(&out, UB_DEVICES_SCHEMA, "devices");
	ub_doc_add(out.doc, ub_device_fields, &devs[0]);
	ub_doc_add(out.doc, ub_device_fields, &devs[1]);
	(void)ub_fail(&err, UB_STAGE_STOP, -EBUSY, "cannot remove ublkb3");
	(void)ub_out_fail(&out, &err, &(struct ub_facts){.verb = "del", .device = "3"});
	ub_doc_add(out.doc, ub_detail_fields, &devs[0]);
	gone = ub_doc_new_lines(UB_DELETED_DEVICE_SCHEMA, file);
	ub_doc_add(gone, ub_deleted_fields, &devs[0]);
	ub_doc_free(gone);
	(void)ub_out_finish(&out);
	ub_out_done(&out);
	return 0;
}

static int write_docs(const char *folder)
{
	(void)setup(NULL);
	return write_doc(folder, "list.json", ub_device_fields, false) ||
	       write_doc(folder, "empty.json", NULL, false) ||
	       write_doc(folder, "show.json", ub_detail_fields, false) ||
	       write_doc(folder, "partly.json", ub_detail_fields, true) ||
	       write_doc(folder, "error.json", NULL, true) || write_lines(folder);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(json_has_native_types_and_null),
		TEST(all_that_can_be_asked_for_is_told),
		TEST(every_device_has_every_field),
		TEST(a_failure_without_result_is_an_error_document),
		TEST(failures_beside_results_stand_in_the_envelope),
		TEST(a_full_output_is_a_failure),
		TEST(a_line_is_there_as_soon_as_it_is_added),
		TEST(a_line_that_cannot_be_written_is_a_failure),
	};
	int ret;

	if (argc == 2)
		return write_docs(argv[1]);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	free(printed);
	return ret;
}
