/* SPDX-License-Identifier: MIT */
/* What is printed of devices for people: tables and blocks. */
#include "output_support.h"

#include "table.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table_has_heads_and_numbers_to_the_right),
		TEST(columns_are_chosen_in_any_case_and_added),
		TEST(an_empty_table_is_its_head),
		TEST(show_tells_what_was_asked_where_less_was_granted),
		TEST(an_unhealthy_device_ends_in_status_and_action),
		TEST(health_names_the_way_back),
		TEST(without_a_head_only_rows_count),
	};
	int ret = cmocka_run_group_tests(tests, NULL, NULL);

	free(printed);
	return ret;
}
