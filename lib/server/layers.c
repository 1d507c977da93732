/* SPDX-License-Identifier: MIT */
/*
 * Layers' files in a recovery, and what goes wrong with them. Such a file may lie anywhere, on the device itself
 * too, and is not worth one: so it is opened when the device is served, and where that fails the layer is left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "layer/layer.h"
#include "server/server.h"

#define LAYER_DIR "/layer"
/* How long the server before may take to let a file go, which it does when nobody waits for it any more. */
#define LET_GO_MS 5000
#define LOOK_MS 20

/* @path: leads to it from here. */
static int open_it(struct server *s, unsigned at, const char *path, struct ub_error *err)
{
	int64_t until = ub_now_ms() + LET_GO_MS;
	int ret;

	while ((ret = ub_layers_open_file(&s->target, at, path, err)) == -EBUSY &&
	       ub_left_ms(until) > 0)
		server_wait(s, LOOK_MS);
	return ret;
}

/* A server that lives alone is lent the directory. */
static int reach_and_open(struct server *s, unsigned at, const char *file, struct ub_error *err)
{
	const char *name = strrchr(file, '/');
	_cleanup_free_ char *dir = strndup(file, name == file ? 1 : (size_t)(name - file));
	_cleanup_free_ char *path = NULL;
	int ret;

	if (s->caller_ns < 0)
		return open_it(s, at, file, err);
	if (!dir || asprintf(&path, "%s%s", LAYER_DIR, name) < 0)
		return ub_fail(err, UB_STAGE_LAYER, -ENOMEM, "cannot open %s", file);
	ret = server_reach_dir(s, dir, LAYER_DIR);
	if (ret) {
		(void)rmdir(LAYER_DIR);
		return ub_fail(err, UB_STAGE_LAYER, ret, "cannot open %s", file);
	}
	ret = open_it(s, at, path, err);
	server_detach_dir(LAYER_DIR);
	return ret;
}

void server_open_layers(struct server *s)
{
	struct ub_layers *layers = s->target.layers;

	for (unsigned at = 0; layers && at < layers->count; at++) {
		struct ub_layer_on *on = &layers->on[at];
		struct ub_error err = {0};

		if (on->off && reach_and_open(s, at, on->type->file(on->args), &err) != 0)
			ub_note(&s->record.notes, "layer %s is left out: %s", on->type->name,
				err.msg);
	}
}

void server_tell_layers(struct server *s)
{
	struct ub_layers *layers = s->target.layers;

	for (unsigned at = 0; layers && at < layers->count; at++) {
		struct ub_layer_on *on = &layers->on[at];
		int error = on->error;

		if (error && !on->told)
			ub_log(&s->log, LOG_ERR, "layer %s cannot write its file: %s",
			       on->type->name, strerror(-error));
		on->told = error;
	}
}
