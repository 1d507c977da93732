/* SPDX-License-Identifier: MIT */
/* What the targets' tests share: a folder of their own, options by name, opening. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clean.h"
#include "target/path.h"
#include "target/target.h"

static char *folder;

static inline int make_folder(void **state)
{
	static char name[] = "/tmp/ublk-unit-XXXXXX";

	(void)state;
	folder = mkdtemp(name);
	return folder && chdir(folder) == 0 ? 0 : -1;
}

static inline int remove_folder(void **state)
{
	char command[100];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return chdir("/") == 0 ? system(command) : -1;
}

/* A target being opened, with its arguments. */
struct opened {
	struct ub_tgt tgt;
	void *args;
	struct ub_open_request req;
	struct ub_notes notes;
	struct ub_error err;
};

static inline void *arg(struct opened *o, const char *name)
{
	for (const struct ub_opt *opt = o->tgt.type->options; opt->name; opt++)
		if (strcmp(opt->name, name) == 0)
			return (char *)o->args + opt->offset;
	fail_msg("no option %s", name);
	return NULL;
}

static inline void set_size(struct opened *o, const char *name, uint64_t value)
{
	*(uint64_t *)arg(o, name) = value;
}

static inline uint64_t get_size(struct opened *o, const char *name)
{
	return *(uint64_t *)arg(o, name);
}

/* @file: made absolute, as by the command line */
static inline void prepare(struct opened *o, const char *target, const char *file)
{
	memset(o, 0, sizeof(*o));
	o->tgt.type = ub_target_find(target);
	assert_non_null(o->tgt.type);
	o->args = calloc(1, o->tgt.type->args_size);
	assert_non_null(o->args);
	if (o->tgt.type->defaults)
		o->tgt.type->defaults(o->args);
	if (file)
		*(char **)arg(o, "file") = *file ? ub_path_absolute(file) : strdup(file);
}

static inline int open_it(struct opened *o)
{
	const struct ub_target *type = o->tgt.type;
	int ret = type->open(&o->tgt, o->args, &o->req, &o->notes, &o->err);

	if (ret < 0) {
		static const struct ub_tgt none;

		assert_int_equal(o->err.code, ret);
		assert_true(o->err.stage != UB_STAGE_NONE);
		assert_memory_equal(&o->tgt, &none, sizeof(none));
		o->tgt.type = type;
	}
	return ret;
}

static inline void must_open(struct opened *o)
{
	if (open_it(o) < 0)
		fail_msg("%s", o->err.msg);
}

static inline void finish(struct opened *o)
{
	const struct ub_target *type = o->tgt.type;

	for (const struct ub_opt *opt = type->options; opt->name; opt++)
		if (opt->type == UB_OPT_STRING)
			free(*(char **)arg(o, opt->name));
	ub_tgt_close(&o->tgt);
	free(o->args);
}

/* Opens the loop target on a file, expecting to be refused. */
static inline void is_refused(struct opened *o, int code, enum ub_stage stage, const char *why)
{
	assert_int_equal(open_it(o), code);
	assert_int_equal(o->err.stage, stage);
	if (!strstr(o->err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", o->err.msg, why);
	finish(o);
}

static inline bool notes_say(const struct opened *o, const char *what)
{
	for (unsigned i = 0; i < o->notes.count; i++)
		if (strstr(o->notes.text[i], what))
			return true;
	return false;
}

static inline void make_file(const char *name, uint64_t size)
{
	_cleanup_close_ int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}
