/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/device.h"
#include "kernel/node.h"
#include "server/server.h"

int server_fail_node(struct server *s, int code, struct ub_error *err)
{
	char path[32];

	(void)ub_dev_block_path(s->record.id, path);
	if (code == -ENOTBLK)
		return ub_fail_text(err, UB_STAGE_NODE, code,
				    "cannot use %s: that is no block device, and was there before",
				    path);
	return ub_fail(err, UB_STAGE_NODE, code, "cannot open %s", path);
}

/* That of a new device was opened when it was started. A recovered one is live whatever becomes of it. */
static void open_node(struct server *s)
{
	struct ub_error err = {0};
	int ret = server_errand(s, ERRAND_OPEN, ub_left_ms(s->deadline));

	if (ret) {
		(void)server_fail_node(s, ret, &err);
		ub_note(&s->record.notes, "%s", err.msg);
	}
}

/* A recovered device serves, whoever hears of it; a new one only if its user does. */
static bool is_interrupted(const struct server *s)
{
	return !s->recovers && (s->parent_gone || s->terms);
}

int server_ready(struct server *s, struct ub_error *err)
{
	int ret;

	if (s->recovers && !s->record.spec.no_wait)
		open_node(s);
	ub_close(&s->dev_fd);
	ret = ub_fault("ready");
	if (ret)
		return ub_fail(err, UB_STAGE_NODE, ret, "cannot tell that ublkb%u is ready",
			       s->record.id);
	/* What came while the device was started: afterwards it is for a device that serves. */
	server_wait(s, 0);
	if (is_interrupted(s))
		return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
	server_forget_start(s);
	/* What came to be noted after the record was written: no reason to fail, it is written later. */
	if (s->record.notes.count > s->noted)
		(void)server_write_record(s, NULL);
	for (unsigned i = 0; i < s->record.notes.count; i++)
		server_send(s, UB_MESSAGE_NOTE, NULL, s->record.notes.text[i]);
	server_send(s, UB_MESSAGE_READY, NULL, NULL);
	while (!s->recovers && !s->committed) {
		if (is_interrupted(s))
			return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
		server_wait(s, -1);
	}
	if (s->notify_fd >= 0)
		(void)send(s->notify_fd, "READY=1", strlen("READY=1"), MSG_NOSIGNAL);
	ub_close(&s->notify_fd);
	return 0;
}
