/* SPDX-License-Identifier: MIT */
#include "commands.h"

const struct ub_command *const ub_commands[] = {
	&ub_cmd_add,       &ub_cmd_list,
	&ub_cmd_show,      &ub_cmd_memory,
	&ub_cmd_stat,      &ub_cmd_top,
	&ub_cmd_del,       &ub_cmd_recover,
	&ub_cmd_resize,    &ub_cmd_set,
	&ub_cmd_quiesce,   &ub_cmd_upgrade,
	&ub_cmd_supervise, &ub_cmd_run,
	&ub_cmd_wait,      &ub_cmd_watch,
	&ub_cmd_log,       &ub_cmd_nbd,
	&ub_cmd_apply,     &ub_cmd_features,
	&ub_cmd_doctor,    &ub_cmd_completion,
	&ub_cmd_complete,  &ub_cmd_help,
	&ub_cmd_version,   NULL,
};
