/* SPDX-License-Identifier: MIT */
/* A value that is being typed, and the words that are offered for it. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "args.h"
#include "command.h"

struct ub_completing {
	FILE *file;
	const struct ub_command *const *commands;
	const struct ub_command *command;
	const struct ub_args *typed; /* before it */
	const char *value;           /* as far as it is typed */
	size_t begun;                /* where in it the element of the list begins; else 0 */
};

/* A word that fits. @description is for people: it is escaped, and may be "". */
void ub_offer(FILE *file, const char *word, const char *description);

/* Devices that the command is for and that are not named already: by number, name, or the path that
 * was begun (completer_device.c). */
void ub_offer_devices(const struct ub_completing *c);
void ub_offer_device_numbers(const struct ub_completing *c);

/* CPUs and NUMA nodes (completer_cpu.c). */
void ub_offer_cpus(const struct ub_completing *c);
void ub_offer_nodes(const struct ub_completing *c);

/* Names of configuration files (completer_config.c). */
void ub_offer_configs(const struct ub_completing *c);
