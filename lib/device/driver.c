/* SPDX-License-Identifier: MIT */
#include "device/driver.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/clock.h"
#include "kernel/sysfs.h"
#include "process/process.h"
#include "process/run.h"

#define MODULE "ublk_drv"
#define NODE_NAME "ublk-control"
#define LOAD_MS 60000
#define TRY_MS 5000

bool ub_driver_is_loaded(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/misc", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	/* A node may be there without it. */
	if (!file)
		return access("/dev/" NODE_NAME, F_OK) == 0;
	/* "123 ublk-control" */
	while (getline(&line, &size, file) > 0)
		if (strstr(line, " " NODE_NAME "\n"))
			return true;
	return false;
}

bool ub_driver_may_load(void)
{
	uint64_t disabled;

	if (ub_sysfs_u64(&disabled, "/proc/sys/kernel/modules_disabled") == 0 && disabled)
		return false;
	return ub_has_cap(CAP_SYS_MODULE) && !ub_process_in_user_namespace();
}

/* The program that the kernel itself would run, or else the one that is where it mostly is. */
static int run_modprobe(char *argv[], int timeout_ms, char **ret_text)
{
	static const char *const usual[] = {"/usr/sbin/modprobe", "/sbin/modprobe"};
	const struct ub_patience patience = {.deadline_ms = ub_now_ms() + timeout_ms};
	char path[PATH_MAX];
	int ret = -ENOENT;

	*ret_text = NULL;
	if (ub_sysfs_line(path, sizeof(path), "/proc/sys/kernel/modprobe") > 0 && path[0] == '/') {
		argv[0] = path;
		ret = ub_run_program(argv, &patience, ret_text);
	}
	/* Not by the caller's PATH: this may be root, and cron's has no sbin. */
	for (size_t i = 0; ret == -ENOENT && !*ret_text && i < UB_ARRAY_SIZE(usual); i++) {
		argv[0] = (char *)usual[i];
		ret = ub_run_program(argv, &patience, ret_text);
	}
	return ret;
}

static int fail(struct ub_error *err, const char *why)
{
	return ub_fail_text(err, UB_STAGE_CONTROL, -ENOENT, "cannot load the ublk driver: %s", why);
}

/* @text: of modprobe. Its first line without "modprobe: ERROR: ". */
static int fail_modprobe(struct ub_error *err, int code, char *text)
{
	static const char *const heads[] = {"modprobe: ", "FATAL: ", "ERROR: "};

	if (code < 0)
		return fail(err, code == -ENOENT ? "there is no modprobe" : strerror(-code));
	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < UB_ARRAY_SIZE(heads); i++)
		if (strncmp(text, heads[i], strlen(heads[i])) == 0)
			text += strlen(heads[i]);
	return fail(err, *text ? text : "modprobe failed, and did not say why");
}

/* Does a line of modprobe's configuration stand in for the module, and come to nothing? */
static bool is_blocked(const char *text)
{
	static const char *const idle[] = {"false",     "true",           "/bin/false",
					   "/bin/true", "/usr/bin/false", "/usr/bin/true"};
	char command[24];

	if (sscanf(text, "install %23s", command) != 1)
		return false;
	for (size_t i = 0; i < UB_ARRAY_SIZE(idle); i++)
		if (strcmp(command, idle[i]) == 0)
			return true;
	return false;
}

int ub_driver_try_load(struct ub_error *err)
{
	char *argv[] = {NULL, (char *)"--show-depends", (char *)MODULE, NULL};
	_cleanup_free_ char *text = NULL;
	int ret = run_modprobe(argv, TRY_MS, &text);

	if (ret)
		return fail_modprobe(err, ret, text);
	/* The modules that it needs come first. */
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (is_blocked(line))
			return fail(err, "modprobe's configuration has a line 'install " MODULE
					 "' that keeps it away");
	}
	return 0;
}

int ub_driver_load(struct ub_error *err)
{
	char *argv[] = {NULL, (char *)MODULE, NULL};
	_cleanup_free_ char *text = NULL;
	int ret;

	if (ub_driver_is_loaded() || !ub_driver_may_load())
		return 0;
	ret = run_modprobe(argv, LOAD_MS, &text);
	return ret ? fail_modprobe(err, ret, text) : 0;
}

const struct ub_error *ub_driver_cause(const struct ub_error *no_driver, const struct ub_error *err)
{
	bool is_missing = err->stage == UB_STAGE_CONTROL && err->code == -ENOENT;

	return is_missing && no_driver->code ? no_driver : err;
}
