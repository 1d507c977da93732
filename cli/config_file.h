/* SPDX-License-Identifier: MIT */
/*
 * A configuration file as lines of `key = value`: opened with suspicion, taken apart, and how a value is
 * written. Knows no key, and prints nothing.
 *
 *	# a comment: from a # at the start of a line, or after a blank, to its end
 *	file = /srv/img
 *	name = "with \"quotes\", \\, \n, \t, \r or \xNN"
 *
 * Blanks around key and value do not count, nor does a carriage return at the end of a line.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

#define UB_CONFIG_SUFFIX ".conf"
#define UB_CONFIG_SIZE_MAX ((size_t)64 << 10)

struct ub_config_line {
	const char *key, *value; /* neither is empty */
	unsigned number;         /* from 1 on */
};

struct ub_config_file {
	char *path; /* as it was named */
	char *name; /* the last part of it, without ".conf" */
	char *text; /* what the lines point into */
	struct ub_config_line *lines;
	size_t count;
};

/*
 * Reads a file. Links are followed: what counts is what they lead to. That has to be a regular file and,
 * for root, root's own, which nobody else may write.
 * Return: 0; or with a message of UB_STAGE_CONFIG -EINVAL (what is in it is wrong), -EPERM (not safe to
 * believe), -ENOENT, or another negative errno.
 */
int ub_config_file_read(const char *path, struct ub_config_file *ret_file, struct ub_error *err);

/* Frees what it owns; takes a half-read one. */
void ub_config_file_done(struct ub_config_file *file);

/* Notes that a line is wrong: "cannot read FILE: line N: ...". Return: -EINVAL. */
int ub_config_bad(const struct ub_config_file *file, unsigned line, struct ub_error *err,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* May the file or folder @fd be believed by this process's user? Return: 0 or -EPERM with a message. */
int ub_config_check_owner(const char *path, int fd, struct ub_error *err);

/* A value as it is written into such a file: quoted where it has to be. Return: text to be freed, or
 * NULL without memory. */
char *ub_config_quote(const char *value);
