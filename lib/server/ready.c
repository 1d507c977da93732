/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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

/* systemd's readiness protocol: one datagram to the socket that it names. */
static void notify_supervisor(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, "READY=1", strlen("READY=1"), MSG_NOSIGNAL,
			     (struct sockaddr *)&addr,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static int tell_foreground(struct server *s, struct ub_error *err)
{
	char path[32];

	for (unsigned i = 0; i < s->record.notes.count; i++)
		(void)fprintf(stderr, "ublk: note: %s\n", s->record.notes.text[i]);
	if (printf("%s\n", ub_dev_block_path(s->record.id, path)) < 0 || fflush(stdout) != 0)
		return ub_fail(err, UB_STAGE_OUTPUT, -errno, "cannot write to standard output");
	notify_supervisor();
	s->committed = true;
	return 0;
}

int server_ready(struct server *s, struct ub_error *err)
{
	int ret = s->record.spec.no_wait ? 0 : wait_node(s, err);

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
	if (s->foreground)
		return tell_foreground(s, err);
	for (unsigned i = 0; i < s->record.notes.count; i++)
		server_send(s, UB_MESSAGE_NOTE, NULL, s->record.notes.text[i]);
	server_send(s, UB_MESSAGE_READY, NULL, NULL);
	/* A recovered device serves, whoever hears of it; a new one only if its user does. */
	while (s->mode == UB_LAUNCH_ADD && !s->committed) {
		if (s->parent_gone || s->terms)
			return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
		server_wait(s, -1);
	}
	return 0;
}
