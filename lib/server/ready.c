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

static int wait_node(struct server *s, struct ub_error *err)
{
	bool scan = s->mode == UB_LAUNCH_ADD && (s->info->flags & UBLK_F_NO_AUTO_PART_SCAN) &&
		    !s->record.spec.no_partition_scan;
	char path[32];
	int ret = ub_fault("node");

	if (!ret)
		ret = server_errand(s, scan ? ERRAND_SCAN : ERRAND_OPEN, ub_left_ms(s->deadline));
	(void)ub_dev_block_path(s->record.id, path);
	if (ret == -ENOTBLK)
		return ub_fail_text(err, UB_STAGE_NODE, ret,
				    "cannot use %s: that is no block device, and was there before",
				    path);
	return ret ? ub_fail(err, UB_STAGE_NODE, ret, "cannot open %s", path) : 0;
}

int server_ready(struct server *s, struct ub_error *err)
{
	int ret = s->record.spec.no_wait ? 0 : wait_node(s, err);

	ub_close(&s->dev_fd);
	/* A recovered device is live whatever became of its node. */
	if (ret && s->mode == UB_LAUNCH_ADD)
		return ret;
	if (ret)
		ub_note(&s->record.notes, "%s", err->msg);
	ret = ub_fault("ready");
	if (ret)
		return ub_fail(err, UB_STAGE_NODE, ret, "cannot tell that ublkb%u is ready",
			       s->record.id);
	server_forget_start();
	/* What came to be noted after the record was written: no reason to fail, it is written later. */
	if (s->record.notes.count > s->noted)
		(void)server_write_record(s, NULL);
	for (unsigned i = 0; i < s->record.notes.count; i++)
		server_send(s, UB_MESSAGE_NOTE, NULL, s->record.notes.text[i]);
	server_send(s, UB_MESSAGE_READY, NULL, NULL);
	/* A recovered device serves, whoever hears of it; a new one only if its user does. */
	while (s->mode == UB_LAUNCH_ADD && !s->committed) {
		if (s->parent_gone || s->terms)
			return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
		server_wait(s, -1);
	}
	if (s->notify_fd >= 0)
		(void)send(s->notify_fd, "READY=1", strlen("READY=1"), MSG_NOSIGNAL);
	ub_close(&s->notify_fd);
	return 0;
}
