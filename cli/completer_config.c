/* SPDX-License-Identifier: MIT */
/* Completer for configuration files, by the names that their devices get. */
#include "offer.h"

#include <dirent.h>
#include <string.h>

#include "config_folder.h"
#include "spec/check.h"

#define ENDING ".conf"

/* The folder that was typed, or the one that counts without. */
static const char *find_folder(const struct ub_completing *c)
{
	for (const struct ub_opt *opt = c->command->options; opt && opt->name; opt++) {
		const struct ub_arg *arg = NULL;

		if (strcmp(opt->name, "folder") == 0)
			arg = ub_args_find(c->typed, opt);
		if (arg && arg->value)
			return arg->value;
	}
	return UB_CONFIG_FOLDER;
}

void ub_offer_configs(const struct ub_completing *c)
{
	DIR *dir = opendir(find_folder(c));
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), ending = strlen(ENDING);

		if (entry->d_name[0] == '.' || len <= ending ||
		    strcmp(entry->d_name + len - ending, ENDING) != 0)
			continue;
		entry->d_name[len - ending] = '\0';
		/* Whoever may write there is not to write in the line that is typed. */
		if (ub_spec_check_name(entry->d_name, NULL) == 0)
			ub_offer(c->file, entry->d_name, "");
	}
	if (dir)
		(void)closedir(dir);
}
