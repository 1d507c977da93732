/* SPDX-License-Identifier: MIT */
/* ublk completion SHELL: prints what makes a shell complete our command lines. */
#include <string.h>

#include "commands.h"
#include "guess.h"
#include "scripts.h"

static enum ub_exit fail_unknown(struct ub_call *call, const char *shell)
{
	struct ub_guess guess;
	struct ub_error err = {0};

	ub_guess_init(&guess, shell);
	for (const struct ub_script *script = ub_scripts; script->shell; script++)
		ub_guess_offer(&guess, script->shell);
	(void)ub_guess_fail(&guess, "shell", "", &err);
	return ub_call_fail(call, &err);
}

static enum ub_exit run(struct ub_call *call)
{
	if (!call->nr_operands)
		return ub_call_usage(call, "no shell is named");
	for (const struct ub_script *script = ub_scripts; script->shell; script++) {
		if (strcmp(script->shell, call->operands[0]) != 0)
			continue;
		(void)fputs(script->text, call->out.file);
		return UB_EXIT_DONE;
	}
	return fail_unknown(call, call->operands[0]);
}

const struct ub_command ub_cmd_completion = {
	.name = "completion",
	.summary = "print a script that completes command lines",
	.synopsis = "bash|zsh|fish",
	.about =
		"Print a script for a shell, which then completes what is typed after 'ublk' when\n"
		"Tab is pressed. An installed ublk has them where the shells look. To try it:\n"
		"\n"
		"  source <(ublk completion bash)       in bash\n"
		"  source <(ublk completion zsh)        in zsh, after compinit\n"
		"  ublk completion fish | source        in fish\n",
	.max_operands = 1,
	.completer = "shell",
	.run = run,
};
