/* SPDX-License-Identifier: MIT */
#include "prepare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "kernel/ctrl.h"
#include "layer_text.h"
#include "spec/check.h"
#include "target/caller.h"
#include "target/path.h"

int ub_prepare_log_file(struct ub_spec *spec, struct ub_error *err)
{
	char *path = spec->log_file ? ub_path_absolute(spec->log_file) : NULL;

	if (!spec->log_file)
		return 0;
	if (!path)
		return ub_fail(err, UB_STAGE_USAGE, -errno, "cannot find --log-file %s",
			       spec->log_file);
	free(spec->log_file);
	spec->log_file = path;
	return 0;
}

int ub_prepare_target(struct ub_spec *spec, struct ub_error *err)
{
	struct ub_caller caller = {.fd = -1};
	int ret = spec->target->call ? spec->target->call(spec->target_args, &caller, err) : 0;

	spec->caller_fd = caller.fd;
	/* With its server the file would go: requests would wait for nothing. */
	if (caller.nameless && spec->recovery == UB_RECOVERY_DEFAULT)
		spec->recovery = UB_RECOVERY_NONE;
	return ret;
}

char *ub_prepare_config(const char *path)
{
	const char *last = strrchr(path, '/');
	_cleanup_free_ char *folder =
		last ? strndup(path, last == path ? 1 : (size_t)(last - path)) : strdup(".");
	_cleanup_free_ char *real = folder ? realpath(folder, NULL) : NULL;
	char *joined;

	if (!real || asprintf(&joined, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
			      last ? last + 1 : path) < 0)
		return NULL;
	return joined;
}

static int resolve_config(struct ub_spec *spec, struct ub_error *err)
{
	char *path = spec->config ? ub_prepare_config(spec->config) : NULL;

	if (!spec->config)
		return 0;
	if (!path)
		return ub_fail(err, UB_STAGE_CONFIG, -errno, "cannot find %s", spec->config);
	free(spec->config);
	spec->config = path;
	return 0;
}

int ub_prepare(struct ub_spec *spec, struct ub_error *err)
{
	int ret;

	spec->unprivileged = ub_ctrl_is_unprivileged();
	ret = resolve_config(spec, err);
	if (ret == 0)
		ret = ub_prepare_target(spec, err);
	if (ret == 0)
		ret = ub_prepare_log_file(spec, err);
	if (ret == 0)
		ret = ub_layers_resolve(&spec->layers, true, err);
	if (ret == 0)
		ret = ub_spec_check(spec, err);
	if (ret < 0 && spec->config)
		ub_error_prefix(err, "%s", spec->config);
	return ret;
}
