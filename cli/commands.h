/* SPDX-License-Identifier: MIT */
/* The commands, each in its own file. */
#pragma once

#include "command.h"

extern const struct ub_command ub_cmd_add;
extern const struct ub_command ub_cmd_complete;
extern const struct ub_command ub_cmd_completion;
extern const struct ub_command ub_cmd_apply;
extern const struct ub_command ub_cmd_del;
extern const struct ub_command ub_cmd_doctor;
extern const struct ub_command ub_cmd_features;
extern const struct ub_command ub_cmd_help;
extern const struct ub_command ub_cmd_list;
extern const struct ub_command ub_cmd_log;
extern const struct ub_command ub_cmd_memory;
extern const struct ub_command ub_cmd_nbd;
extern const struct ub_command ub_cmd_stat;
extern const struct ub_command ub_cmd_recover;
extern const struct ub_command ub_cmd_quiesce;
extern const struct ub_command ub_cmd_resize;
extern const struct ub_command ub_cmd_run;
extern const struct ub_command ub_cmd_set;
extern const struct ub_command ub_cmd_show;
extern const struct ub_command ub_cmd_supervise;
extern const struct ub_command ub_cmd_top;
extern const struct ub_command ub_cmd_upgrade;
extern const struct ub_command ub_cmd_version;
extern const struct ub_command ub_cmd_wait;
extern const struct ub_command ub_cmd_watch;

/* All of them, NULL-terminated, in the order of the help. */
extern const struct ub_command *const ub_commands[];
