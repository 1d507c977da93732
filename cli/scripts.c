/* SPDX-License-Identifier: MIT */
#include "scripts.h"

/* By the assembler, so that no second copy has to be kept or made. */
#define SCRIPT(name, file)                                  \
	extern const char name[];                           \
	__asm__(".pushsection .rodata\n" #name ":\n"        \
		".incbin \"" UB_COMPLETIONS "/" file "\"\n" \
		".byte 0\n.popsection\n")

SCRIPT(ub_script_bash, "ublk");
SCRIPT(ub_script_zsh, "_ublk");
SCRIPT(ub_script_fish, "ublk.fish");

const struct ub_script ub_scripts[] = {
	{"bash", "source <(ublk completion bash)", ub_script_bash},
	{"zsh", "source <(ublk completion zsh)", ub_script_zsh},
	{"fish", "ublk completion fish | source", ub_script_fish},
	{NULL, NULL, NULL},
};
