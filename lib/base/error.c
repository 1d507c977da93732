/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const char *const stage_names[UB_STAGE_COUNT] = {
	[UB_STAGE_NONE] = "none",       [UB_STAGE_USAGE] = "usage",
	[UB_STAGE_CONTROL] = "control", [UB_STAGE_LOOKUP] = "lookup",
	[UB_STAGE_BACKING] = "backing", [UB_STAGE_LOCK] = "lock",
	[UB_STAGE_PLAN] = "plan",       [UB_STAGE_SPAWN] = "spawn",
	[UB_STAGE_LAYER] = "layer",     [UB_STAGE_CONNECT] = "connect",
	[UB_STAGE_ADD] = "add",         [UB_STAGE_PARAMS] = "params",
	[UB_STAGE_CHAR] = "char",       [UB_STAGE_MAP] = "map",
	[UB_STAGE_MEMORY] = "memory",   [UB_STAGE_RING] = "ring",
	[UB_STAGE_THREAD] = "thread",   [UB_STAGE_FETCH] = "fetch",
	[UB_STAGE_RECORD] = "record",   [UB_STAGE_START] = "start",
	[UB_STAGE_NODE] = "node",       [UB_STAGE_STOP] = "stop",
	[UB_STAGE_DEL] = "del",         [UB_STAGE_RECOVER] = "recover",
	[UB_STAGE_RESIZE] = "resize",   [UB_STAGE_QUIESCE] = "quiesce",
	[UB_STAGE_SET] = "set",         [UB_STAGE_UPGRADE] = "upgrade",
	[UB_STAGE_SERVER] = "server",   [UB_STAGE_OUTPUT] = "output",
	[UB_STAGE_CONFIG] = "config",
};

static void set(struct ub_error *err, enum ub_stage stage, int code, const char *fmt, va_list ap,
		bool with_errno)
{
	char what[sizeof(err->msg)];

	if (!err)
		return;
	/* The arguments may point into the message that this replaces. */
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	err->code = code;
	err->stage = stage;
	if (with_errno)
		(void)snprintf(err->msg, sizeof(err->msg), "%.*s: %s", (int)sizeof(what) - 100,
			       what, strerror(-code));
	else
		(void)snprintf(err->msg, sizeof(err->msg), "%s", what);
}

int ub_fail(struct ub_error *err, enum ub_stage stage, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, stage, code, fmt, ap, true);
	va_end(ap);
	return code;
}

int ub_fail_text(struct ub_error *err, enum ub_stage stage, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, stage, code, fmt, ap, false);
	va_end(ap);
	return code;
}

void ub_error_add(struct ub_error *err, const char *fmt, ...)
{
	size_t len;
	va_list ap;

	if (!err || !err->code)
		return;
	len = strlen(err->msg);
	va_start(ap, fmt);
	(void)vsnprintf(err->msg + len, sizeof(err->msg) - len, fmt, ap);
	va_end(ap);
}

void ub_error_prefix(struct ub_error *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	char context[200];
	va_list ap;

	if (!err || !err->code)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(old, err->msg, sizeof(old));
	(void)snprintf(err->msg, sizeof(err->msg), "%s: %.*s", context,
		       (int)(sizeof(old) - sizeof(context) - 4), old);
}

const char *ub_stage_name(enum ub_stage stage)
{
	return stage < UB_STAGE_COUNT ? stage_names[stage] : "unknown";
}

const char *ub_errno_name(int code, char buf[static 16])
{
	const char *name = strerrorname_np(code < 0 ? -code : code);

	if (name)
		return name;
	(void)snprintf(buf, 16, "E%d", code < 0 ? -code : code);
	return buf;
}
