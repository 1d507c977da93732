/* SPDX-License-Identifier: MIT */
/*
 * Another log while the device is served. A server that lives alone is given the new one's directory by
 * whoever asks for it, at another place than the old one's, which goes when it is not needed any more: what
 * stayed mounted here would keep its file system busy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "server/server.h"

#define OTHER_DIR SERVER_LOG_DIR ".2"

/* @at: where it is to be. Return: 0 or a negative errno. */
static int attach(int peer, const char *dir, const char *at, struct server_new_log *new)
{
	int ret;

	new->at = strdup(at);
	if (!new->at)
		return -ENOMEM;
	ret = server_attach_dir(peer, dir, at);
	new->attached = !ret;
	return ret;
}

static int open_file(const struct server *s, int peer, char *path, struct server_new_log *new)
{
	bool is_taken = s->log_at && strcmp(s->log_at, SERVER_LOG_DIR) == 0;
	const char *name = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, name == path ? 1 : (size_t)(name - path));
	int ret;

	if (!s->alone)
		return ub_log_open(&new->log, path);
	if (!dir)
		return -ENOMEM;
	ret = attach(peer, dir, is_taken ? OTHER_DIR : SERVER_LOG_DIR, new);
	if (ret)
		return ret;
	ub_log_move(&new->log, name, new->at);
	return new->log.path ? ub_log_open(&new->log, new->log.path) : -ENOMEM;
}

/* One that does not run is no error, as it is none at the start. */
static void open_journal(const struct server *s, int peer, struct server_new_log *new)
{
	_cleanup_free_ char *dir = NULL;

	ub_log_init(&new->log, s->log.program, s->foreground);
	if (!s->alone || s->foreground || new->log.fd >= 0)
		return;
	dir = ub_log_journal_dir();
	if (dir && attach(peer, dir, dir, new) == 0)
		ub_log_init(&new->log, s->log.program, false);
}

int server_open_new_log(struct server *s, int peer, char *path, struct server_new_log *ret_new,
			struct ub_error *err)
{
	struct server_new_log new = {.log = s->log};
	int ret = 0;

	new.log.fd = -1;
	new.log.path = new.log.own = NULL;
	if (path)
		ret = open_file(s, peer, path, &new);
	else
		open_journal(s, peer, &new);
	if (ret) {
		server_drop_new_log(&new);
		return ub_fail(err, UB_STAGE_SET, ret, "cannot open log file %s", path);
	}
	*ret_new = new;
	return 0;
}

static void done(struct ub_log *log, char *at, bool attached)
{
	ub_log_close(log);
	free(log->own);
	if (attached)
		server_detach_dir(at);
	free(at);
}

void server_drop_new_log(struct server_new_log *new)
{
	done(&new->log, new->at, new->attached);
}

void server_use_new_log(struct server *s, struct server_new_log *new)
{
	/* The journal's directory is needed when it is started anew. */
	if (s->log.kind == UB_LOG_JOURNAL && new->log.kind == UB_LOG_JOURNAL && !new->attached) {
		ub_log_close(&s->log);
		s->log.fd = new->log.fd;
		return;
	}
	done(&s->log, s->log_at, s->log_at);
	new->log.level = s->log.level;
	s->log = new->log;
	s->log_at = new->attached ? UB_TAKE_PTR(new->at) : NULL;
	free(new->at);
}
