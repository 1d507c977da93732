/* SPDX-License-Identifier: MIT */
/* ublk doctor: why it would not work here, and what to do about it. */
#include <errno.h>
#include <stdlib.h>

#include "base/clean.h"
#include "commands.h"
#include "doctor.h"
#include "term.h"
#include "text.h"

#define SCHEMA "ublk.doctor/1"

/* In the order in which `ublk add` comes to them; what does not concern it, at the end. */
static const struct ub_check checks[] = {
	{"kernel", ub_check_kernel},
	{"program", ub_check_program},
	{"records", ub_check_records},
	{"module", ub_check_module},
	{"node", ub_check_node},
	{"io_uring", ub_check_io_uring},
	{"driver", ub_check_driver},
	{"limits", ub_check_limits},
	{"cgroup", ub_check_cgroup},
	{"udev", ub_check_udev},
	{"privileges", ub_check_privileges},
	{"namespaces", ub_check_namespaces},
	{"huge-pages", ub_check_huge_pages},
	{"systemd", ub_check_systemd},
	{"leftovers", ub_check_leftovers},
};

static const char *const status_names[] = {
	[UB_FINDING_GOOD] = "good",
	[UB_FINDING_NOTE] = "note",
	[UB_FINDING_BAD] = "bad",
};

static void get_status(const void *object, struct ub_value *value)
{
	ub_value_text(value, status_names[((const struct ub_finding *)object)->status]);
}

static void get_works(const void *object, struct ub_value *value)
{
	ub_value_number(value, ((const struct ub_doctor *)object)->verdict == UB_EXIT_DONE);
}

static void get_verdict(const void *object, struct ub_value *value)
{
	ub_value_number(value, ((const struct ub_doctor *)object)->verdict);
}

/* clang-format off */
static const struct ub_field fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, UB_AT(struct ub_finding, check) },
	{ .key = "status", .type = UB_FIELD_STRING, .get = get_status },
	{ .key = "text", .type = UB_FIELD_STRING, UB_AT_CHARS(struct ub_finding, text) },
	{ .key = "mend", .type = UB_FIELD_STRING, UB_AT_CHARS(struct ub_finding, mend) },
	{ .key = "source", .type = UB_FIELD_STRING, UB_AT(struct ub_finding, source) },
	UB_FIELD_END,
};

static const struct ub_field verdict_fields[] = {
	{ .key = "works", .type = UB_FIELD_BOOL, .get = get_works },
	{ .key = "exit_status", .type = UB_FIELD_NUMBER, .get = get_verdict },
	UB_FIELD_END,
};
/* clang-format on */

static void print_line(struct ub_out *out, const struct ub_finding *finding)
{
	const char *status = status_names[finding->status];

	ub_term_put_state(out->file, status, out->colour);
	(void)fprintf(out->file, "%*s%-10s  ", 6 - (int)ub_text_width(status), "", finding->check);
	ub_put_escaped(out->file, finding->text);
	if (finding->mend[0]) {
		(void)fprintf(out->file, "\n%18s-> ", "");
		ub_put_escaped(out->file, finding->mend);
	}
	(void)fputc('\n', out->file);
}

static int print(struct ub_call *call, const struct ub_doctor *doctor)
{
	struct ub_out *out = &call->out;

	if (out->json && ub_out_begin(out, SCHEMA, "checks") < 0)
		return -ENOMEM;
	for (size_t i = 0; i < doctor->count; i++) {
		if (out->json)
			ub_doc_add(out->doc, fields, &doctor->findings[i]);
		else
			print_line(out, &doctor->findings[i]);
	}
	if (out->json)
		ub_doc_set(out->doc, verdict_fields, doctor);
	else
		(void)fprintf(out->file, "\n`ublk add` %s here, as this user.\n",
			      doctor->verdict ? "would fail" : "works");
	return 0;
}

static enum ub_exit run(struct ub_call *call)
{
	struct ub_doctor doctor = {.verdict = UB_EXIT_DONE};
	struct ub_error err = {0};
	enum ub_exit status;

	for (size_t i = 0; i < UB_ARRAY_SIZE(checks); i++) {
		doctor.check = checks[i].name;
		checks[i].run(&doctor);
	}
	if (doctor.failed || print(call, &doctor) < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, -ENOMEM, "cannot tell what was found");
		status = ub_call_fail(call, &err);
	} else {
		status = doctor.verdict;
	}
	ub_ctrl_close(doctor.ctrl);
	free(doctor.findings);
	return status;
}

const struct ub_command ub_cmd_doctor = {
	.name = "doctor",
	.summary = "tell why it would not work here, and what to do",
	.synopsis = "[OPTIONS]",
	.about =
		"Look at all that a device needs of this machine, as this user, and tell of each\n"
		"thing that it is good, or what is wrong and what to type. Changes nothing. The\n"
		"exit status is that of `ublk add -t null`; what is merely noted does not count.\n",
	.json = true,
	.run = run,
};
