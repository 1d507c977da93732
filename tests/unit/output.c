/* SPDX-License-Identifier: MIT */
/*
 * What is printed of devices: tables, blocks and JSON. With a folder as its argument the program
 * writes sample documents there, which tests/cli/schema.bats holds against doc/schema.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "device_fields.h"
#include "json_doc.h"
#include "out.h"
#include "table.h"
#include "value.h"

static struct ub_dev_detail devs[2]; /* one of ours, one of another program */

static void set_option(struct ub_spec *spec, const char *name, const char *value)
{
	const struct ub_opt *opt = spec->target->options;

	while (strcmp(opt->name, name) != 0)
		opt++;
	if (ub_opt_store(opt, value, spec->target_args, NULL) != 0)
		abort();
}

static void fill_ours(struct ub_dev_detail *detail)
{
	static struct ub_user users[] = {
		{.kind = UB_USER_MOUNT, .device = "ublkb0p1", .what = "/mnt/a b"},
		{.kind = UB_USER_OPENER, .device = "ublkb0", .what = "fio", .pid = 77},
	};
	struct ub_dev *dev = &detail->dev;
	struct ub_spec *spec = &dev->record.spec;

	dev->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = 2,
		.queue_depth = 128,
		.state = UBLK_S_DEV_LIVE,
		.max_io_buf_bytes = 512 << 10,
		.flags = UBLK_F_USER_RECOVERY | UBLK_F_CMD_IOCTL_ENCODE | 1ULL << 40,
	};
	dev->params.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD;
	dev->params.basic = (struct ublk_param_basic){
		.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA,
		.logical_bs_shift = 9,
		.physical_bs_shift = 12,
		.max_sectors = 1024,
		.dev_sectors = 2 << 20,
	};
	dev->managed = true;
	dev->server = (struct ub_served_by){.answer = UB_SERVED_YES, .pid = 812};
	dev->size = 1 << 30;
	ub_spec_init(spec);
	(void)ub_spec_set_target(spec, ub_target_find("loop"));
	set_option(spec, "file", "/srv/a\n\xff.img");
	set_option(spec, "direct", "on");
	spec->queues = 8;
	spec->recovery = UB_RECOVERY_REQUEUE;
	spec->name = strdup("vol/\"1\"");
	(void)snprintf(dev->record.version, sizeof(dev->record.version), "0.1.0");
	dev->record.threads = 2;
	dev->record.memory.planned = true;
	dev->record.data_path = UB_PATH_COPY;
	dev->record.backing.path = strdup("/srv/a\n\xff.img");
	dev->record.backing.real = strdup("/data/a.img");
	dev->record.backing.handle = strdup("1:0c000000");
	dev->record.backing.length = 1 << 30;
	ub_note(&dev->record.notes, "8 queues asked for, 2 granted");
	detail->users = (struct ub_users){.list = users, .count = 2};
}

static void fill_theirs(struct ub_dev_detail *detail)
{
	struct ub_dev *dev = &detail->dev;

	dev->id = 7;
	dev->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = 1,
		.queue_depth = 64,
		.state = UBLK_S_DEV_DEAD,
		.dev_id = 7,
		.max_io_buf_bytes = 1 << 20,
		.owner_uid = 1000,
	};
	(void)ub_fail_text(&dev->record_error, UB_STAGE_RECORD, -EBADMSG, "it is not JSON");
}

static int setup(void **state)
{
	(void)state;
	memset(devs, 0, sizeof(devs));
	for (size_t i = 0; i < UB_ARRAY_SIZE(devs); i++)
		ub_spec_init(&devs[i].defaults);
	fill_ours(&devs[0]);
	fill_theirs(&devs[1]);
	for (size_t i = 0; i < UB_ARRAY_SIZE(devs); i++)
		ub_device_health(&devs[i].dev, devs[i].status, sizeof(devs[i].status),
				 devs[i].action, sizeof(devs[i].action));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ub_spec_done(&devs[0].dev.record.spec);
	ub_backing_done(&devs[0].dev.record.backing);
	return 0;
}

/* Collects what is printed. */
static char *printed;
static size_t printed_size;

static FILE *start(void)
{
	free(printed);
	printed = NULL;
	return open_memstream(&printed, &printed_size);
}

static void has(const char *text)
{
	if (!strstr(printed, text))
		fail_msg("no '%s' in:\n%s", text, printed);
}

static void has_not(const char *text)
{
	if (strstr(printed, text))
		fail_msg("'%s' in:\n%s", text, printed);
}

static int print_table(const char *columns)
{
	struct ub_columns chosen;
	FILE *file = start();
	int ret = ub_columns_choose(ub_device_fields, "ID,SIZE,NAME", columns, &chosen, NULL);

	if (ret == 0)
		ret = ub_table_print(file, &chosen, devs, UB_ARRAY_SIZE(devs), sizeof(devs[0]),
				     false);
	(void)fclose(file);
	return ret;
}

static void a_table_has_heads_and_numbers_to_the_right(void **state)
{
	(void)state;
	assert_int_equal(print_table(NULL), 0);
	assert_string_equal(printed, "ID  SIZE  NAME\n"
				     " 0    1G  vol/\"1\"\n"
				     " 7     -  -\n");
}

static void columns_are_chosen_in_any_case_and_added(void **state)
{
	(void)state;
	assert_int_equal(print_table("pid,target,backing,flags"), 0);
	assert_string_equal(
		printed,
		"PID  TARGET  BACKING             FLAGS\n"
		"812  loop    /srv/a\\x0a\\xff.img  bit_40,cmd_ioctl_encode,user_recovery\n"
		"  -  -       -                   -\n");
	assert_int_equal(print_table("+STATE,id"), 0);
	has("ID  SIZE  NAME     STATE\n");
	assert_int_equal(print_table("ID,,NAME"), -EINVAL);
	assert_int_equal(print_table("ID,NOPE"), -EINVAL);
	assert_int_equal(print_table(""), -EINVAL);
}

static void an_empty_table_is_its_head(void **state)
{
	struct ub_columns chosen;
	FILE *file = start();

	(void)state;
	assert_int_equal(ub_columns_choose(ub_device_fields, "ID,NAME", NULL, &chosen, NULL), 0);
	assert_int_equal(ub_table_print(file, &chosen, NULL, 0, 1, false), 0);
	(void)fclose(file);
	assert_string_equal(printed, "ID  NAME\n");
}

static void print_block(const struct ub_dev_detail *detail)
{
	FILE *file = start();

	assert_int_equal(ub_block_print(file, ub_detail_fields, detail, false), 0);
	(void)fclose(file);
}

static void show_tells_what_was_asked_where_less_was_granted(void **state)
{
	(void)state;
	print_block(&devs[0]);
	has("  queues:                 2 (8 asked for)\n");
	has("  asked queues:           8\n");
	has("  asked recovery:         requeue\n");
	has_not("asked depth");
	has_not("asked io-min");
	has("  depth:                  128\n");
	has("  server pid:             812\n");
	has("  target:                 loop\n");
	has("  target file:            /srv/a\\x0a\\xff.img\n");
	has("  known by:               handle\n");
	has("  real path:              /data/a.img\n");
	has("  fua:                    yes\n");
	has("  notes:                  8 queues asked for, 2 granted\n");
	has("/mnt/a b");
	has_not("status:");
	has_not("memory");
}

static void an_unhealthy_device_ends_in_status_and_action(void **state)
{
	const char *status, *action;

	(void)state;
	print_block(&devs[1]);
	status = strstr(printed, "  status: ");
	action = strstr(printed, "  action: ");
	assert_non_null(status);
	assert_non_null(action);
	assert_true(status < action);
	assert_string_equal(strchr(action, '\n'), "\n");
	has("ublk del 7");
	has_not("volatile cache");
}

static void health_names_the_way_back(void **state)
{
	struct ub_dev *dev = &devs[0].dev;
	char status[256], action[256];

	(void)state;
	dev->server.answer = UB_SERVED_NO;
	dev->info.state = UBLK_S_DEV_QUIESCED;
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_string_equal(action, "ublk recover 0");
	dev->info.state = UBLK_S_DEV_FAIL_IO;
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_string_equal(action, "ublk recover 0");
	dev->managed = false;
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_non_null(strstr(action, "ublk del --force 0"));
	(void)ub_fail_text(&dev->record_error, UB_STAGE_RECORD, -EBADMSG, "backing is missing");
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_non_null(strstr(status, "its server died"));
	assert_non_null(strstr(status, "backing is missing"));
	assert_non_null(strstr(action, "ublk recover; or give it up: ublk del --force 0"));
	dev->server.answer = UB_SERVED_YES;
	dev->info.state = UBLK_S_DEV_LIVE;
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_non_null(strstr(status, "backing is missing"));
	dev->record_error.code = 0;
	dev->managed = true;
	dev->record.write_error = -EIO;
	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	assert_non_null(strstr(status, "Input/output error"));
}

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

static void without_a_head_only_rows_count(void **state)
{
	struct ub_columns chosen;
	FILE *file = start();

	(void)state;
	assert_int_equal(ub_columns_choose(ub_device_fields, "READ-ONLY,ID", NULL, &chosen, NULL),
			 0);
	chosen.no_head = true;
	assert_int_equal(ub_table_print(file, &chosen, devs, 2, sizeof(devs[0]), false), 0);
	(void)fclose(file);
	assert_string_equal(printed, "no  0\nno  7\n");
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table_has_heads_and_numbers_to_the_right),
		TEST(columns_are_chosen_in_any_case_and_added),
		TEST(an_empty_table_is_its_head),
		TEST(show_tells_what_was_asked_where_less_was_granted),
		TEST(an_unhealthy_device_ends_in_status_and_action),
		TEST(health_names_the_way_back),
		TEST(json_has_native_types_and_null),
		TEST(all_that_can_be_asked_for_is_told),
		TEST(every_device_has_every_field),
		TEST(a_failure_without_result_is_an_error_document),
		TEST(failures_beside_results_stand_in_the_envelope),
		TEST(a_full_output_is_a_failure),
		TEST(a_line_is_there_as_soon_as_it_is_added),
		TEST(a_line_that_cannot_be_written_is_a_failure),
		TEST(without_a_head_only_rows_count),
	};
	int ret;

	if (argc == 2)
		return write_docs(argv[1]);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	free(printed);
	return ret;
}
