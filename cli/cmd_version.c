/* SPDX-License-Identifier: MIT */
/* ublk version: works without a driver. */
#include <errno.h>

#include "commands.h"

static void get_version(const void *object, struct ub_value *value)
{
	(void)object;
	ub_value_text(value, UB_VERSION);
}

static const struct ub_field fields[] = {
	{.key = "version", .type = UB_FIELD_STRING, .get = get_version},
	UB_FIELD_END,
};

static enum ub_exit run(struct ub_call *call)
{
	struct ub_error err = {0};

	if (!call->out.json) {
		(void)fputs("ublk " UB_VERSION "\n", call->out.file);
		return UB_EXIT_DONE;
	}
	if (ub_out_begin(&call->out, "ublk.version/1", NULL) < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, -ENOMEM, "cannot print the version");
		return ub_call_fail(call, &err);
	}
	ub_doc_set(call->out.doc, fields, NULL);
	return UB_EXIT_DONE;
}

const struct ub_command ub_cmd_version = {
	.name = "version",
	.summary = "print the version",
	.synopsis = "[OPTIONS]",
	.about = "Print the version of this program. Needs no driver.\n",
	.json = true,
	.run = run,
};
