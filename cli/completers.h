/* SPDX-License-Identifier: MIT */
/*
 * What completes a value: one table of everything that option tables and commands name as their
 * completer. Those that look at the machine need no right to, and say less where they may not.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "args.h"
#include "command.h"

/* A value that is being typed. */
struct ub_completing {
	FILE *file;
	const struct ub_command *const *commands;
	const struct ub_command *command;
	const struct ub_args *typed; /* before it */
	const char *value;           /* as far as it is typed */
	size_t begun;                /* where in it the element of the list begins; else 0 */
};

struct ub_completer {
	const char *name;
	const char *kind;   /* complete.h */
	const char *breaks; /* of a list: what stands between, or before, elements */
	void (*offer)(const struct ub_completing *c); /* NULL: it is the shell that knows */
};

/* Return: the completer of that name, or NULL. */
const struct ub_completer *ub_completer_find(const char *name);

/* A word that fits. @description is for people: it is escaped, and may be "". */
void ub_offer(FILE *file, const char *word, const char *description);

/* Devices that the command is for and that are not named already: by number, name, or the path that
 * was begun. In a file of its own (completer_device.c). */
void ub_offer_devices(const struct ub_completing *c);
void ub_offer_device_numbers(const struct ub_completing *c);

/* CPUs and NUMA nodes (completer_cpu.c). */
void ub_offer_cpus(const struct ub_completing *c);
void ub_offer_nodes(const struct ub_completing *c);
