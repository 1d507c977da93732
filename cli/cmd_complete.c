/* SPDX-License-Identifier: MIT */
/* ublk complete -- WORD...: what the shells' scripts ask; not for people. */
#include "commands.h"
#include "complete.h"

struct complete_args {
	bool kind;
};

static const struct ub_opt options[] = {
	{.name = "kind",
	 .type = UB_OPT_FLAG,
	 .offset = offsetof(struct complete_args, kind),
	 .help = "print the first line alone"},
	UB_OPT_END,
};

static enum ub_exit run(struct ub_call *call)
{
	const struct complete_args *args = call->args;

	ub_complete(call->out.file, call->commands, call->operands, args->kind);
	return UB_EXIT_DONE;
}

const struct ub_command ub_cmd_complete = {
	.name = "complete",
	.summary = "tell a shell how a command line may go on",
	.synopsis = "[--kind] -- WORD...",
	.about = "Tell a shell's completion script what the last WORD may become. cli/complete.h\n"
		 "says in which form.\n",
	.options = options,
	.args_size = sizeof(struct complete_args),
	.max_operands = SIZE_MAX,
	.hidden = true,
	.run = run,
};
