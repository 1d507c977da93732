/* SPDX-License-Identifier: MIT */
/* ublk help [COMMAND] */
#include "commands.h"
#include "help.h"

static enum ub_exit fail_unknown(struct ub_call *call)
{
	struct ub_error err = {0};

	(void)ub_command_unknown(call->commands, call->operands[0], &err);
	return ub_call_fail(call, &err);
}

static enum ub_exit run(struct ub_call *call)
{
	static const char *const help[] = {"--help", NULL};
	const struct ub_command *command;

	if (call->nr_operands == 0) {
		ub_help_program(call->out.file, call->commands);
		return UB_EXIT_DONE;
	}
	command = ub_command_find(call->commands, call->operands[0]);
	if (!command)
		return fail_unknown(call);
	/* That call writes, and tells if it could not. */
	call->out.finished = true;
	return ub_command_run(call->commands, command, help);
}

const struct ub_command ub_cmd_help = {
	.name = "help",
	.summary = "explain a command",
	.synopsis = "[COMMAND]",
	.about = "Explain a command, or list all of them. Needs no driver.\n",
	.max_operands = 1,
	.completer = "command",
	.run = run,
};
