/* SPDX-License-Identifier: MIT */
/*
 * Layers' files in a recovery. Such a file may lie anywhere, on the device itself
 * too, and is not worth one: so it is opened when the device is served, and where that fails the layer is left out.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "layer/layer.h"
#include "server/server.h"

#define LAYER_DIR "/layer"
/* How long the server before may take to let a file go, which it does when nobody waits for it any more. */
#define LET_GO_MS 5000
#define LOOK_MS 20

/* Does the directory lie on the very device, or a part of it? Its file system would stay in use by its server. */
static bool is_on_device(const struct server *s, const char *dir)
{
	char path[64], link[PATH_MAX], name[24];
	const char *found;
	struct stat st;
	ssize_t n;

	if (stat(dir, &st) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev),
		       minor(st.st_dev));
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	(void)snprintf(name, sizeof(name), "/ublkb%u", s->record.id);
	found = strstr(link, name);
	return found && (found[strlen(name)] == '/' || !found[strlen(name)]);
}

/* @dir, @path: where they lead to it from here. */
static int open_it(struct server *s, unsigned at, const char *dir, const char *path,
		   struct ub_error *err)
{
	int64_t until = ub_now_ms() + LET_GO_MS;
	int ret;

	if (is_on_device(s, dir))
		return ub_fail_text(
			err, UB_STAGE_LAYER, -EDEADLK, "%s lies on the device itself",
			s->target.layers->on[at].type->file(s->target.layers->on[at].args));
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

	if (s->caller_ns < 0 && dir)
		return open_it(s, at, dir, file, err);
	if (!dir || asprintf(&path, "%s%s", LAYER_DIR, name) < 0)
		return ub_fail(err, UB_STAGE_LAYER, -ENOMEM, "cannot open %s", file);
	ret = server_reach_dir(s, dir, LAYER_DIR);
	if (ret) {
		(void)rmdir(LAYER_DIR);
		return ub_fail(err, UB_STAGE_LAYER, ret, "cannot open %s", file);
	}
	ret = open_it(s, at, LAYER_DIR, path, err);
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
