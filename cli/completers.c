/* SPDX-License-Identifier: MIT */
#include "completers.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "target/target.h"
#include "layer_text.h"
#include "scripts.h"

static void offer_commands(const struct ub_completing *c)
{
	for (const struct ub_command *const *command = c->commands; *command; command++)
		if (!(*command)->hidden)
			ub_offer(c->file, (*command)->name, (*command)->summary);
}

static void offer_targets(const struct ub_completing *c)
{
	for (const struct ub_target *const *t = ub_targets; *t; t++)
		ub_offer(c->file, (*t)->name, (*t)->summary);
}

static void offer_shells(const struct ub_completing *c)
{
	for (const struct ub_script *script = ub_scripts; script->shell; script++)
		ub_offer(c->file, script->shell, script->loads);
}

/* Those of the kernel, whichever it has loaded, and what stands for its choice. */
static void offer_schedulers(const struct ub_completing *c)
{
	static const char *const words[][2] = {
		{"none", "requests go to the server as they come"},
		{"keep", "whatever the kernel has chosen"},
		{"mq-deadline", "no request waits for too long"},
		{"kyber", "reads before writes, for fast devices"},
		{"bfq", "a fair share for everybody, for slow devices"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ub_offer(c->file, words[i][0], words[i][1]);
}

static void offer_nbd(const struct ub_completing *c)
{
	ub_offer(c->file, "list", "the exports of a server");
}

/* Is the column among the elements before the one that is being typed? */
static bool is_chosen(const struct ub_completing *c, const char *column)
{
	size_t len = strlen(column);

	for (const char *p = c->value; p < c->value + c->begun; p += strcspn(p, "+,") + 1)
		if (strncasecmp(p, column, len) == 0 && strchr("+,", p[len]))
			return true;
	return false;
}

/* In the letters that are being typed: both are taken. */
static void offer_column(const struct ub_field *field, void *arg)
{
	const struct ub_completing *c = arg;
	bool lower = islower((unsigned char)c->value[c->begun]);
	char word[64];
	size_t i;

	if (is_chosen(c, field->column))
		return;
	for (i = 0; field->column[i] && i + 1 < sizeof(word); i++)
		word[i] =
			(char)(lower ? tolower((unsigned char)field->column[i]) : field->column[i]);
	word[i] = '\0';
	ub_offer(c->file, word, field->help);
}

static void offer_columns(const struct ub_completing *c)
{
	if (c->command->fields)
		ub_field_each_column(c->command->fields, offer_column, (void *)c);
}

static const struct ub_completer completers[] = {
	{.name = "command", .kind = "words", .offer = offer_commands},
	{.name = "command-line", .kind = "files"},
	{.name = "column", .kind = "list", .breaks = "+,", .offer = offer_columns},
	{.name = "config", .kind = "words", .offer = ub_offer_configs},
	{.name = "cpu", .kind = "list", .breaks = "-,", .offer = ub_offer_cpus},
	{.name = "device", .kind = "words", .offer = ub_offer_devices},
	{.name = "device-number", .kind = "words", .offer = ub_offer_device_numbers},
	{.name = "dir", .kind = "files"},
	{.name = "file", .kind = "files"},
	{.name = "layer", .kind = "list", .breaks = ",=", .offer = ub_offer_layers},
	{.name = "nbd", .kind = "words", .offer = offer_nbd},
	{.name = "node", .kind = "words", .offer = ub_offer_nodes},
	{.name = "scheduler", .kind = "words", .offer = offer_schedulers},
	{.name = "shell", .kind = "words", .offer = offer_shells},
	{.name = "target", .kind = "words", .offer = offer_targets},
	{.name = NULL},
};

const struct ub_completer *ub_completer_find(const char *name)
{
	for (const struct ub_completer *completer = completers; completer->name; completer++)
		if (strcmp(completer->name, name) == 0)
			return completer;
	return NULL;
}
