/* SPDX-License-Identifier: MIT */
/*
 * What completes a value: one table of everything that option tables and commands name as their
 * completer. Those that look at the machine need no right to, and say less where they may not.
 */
#pragma once

#include "offer.h"

struct ub_completer {
	const char *name;
	const char *kind;   /* complete.h */
	const char *breaks; /* of a list: what stands between, or before, elements */
	void (*offer)(const struct ub_completing *c); /* NULL: it is the shell that knows */
};

/* Return: the completer of that name, or NULL. */
const struct ub_completer *ub_completer_find(const char *name);
