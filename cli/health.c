/* SPDX-License-Identifier: MIT */
/* What is wrong with a device, and what to do about it. */
#include "device_fields.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel/uapi.h"
#include "memory/desc.h"
#include "record/dir.h"
#include "target/target.h"

static bool has_recovery(const struct ub_dev *dev)
{
	return dev->info.flags & UBLK_F_USER_RECOVERY;
}

/* Has its data died with its server? While it is upgraded it looks like that as well. */
static bool has_lost_data(const struct ub_dev *dev)
{
	return dev->managed && dev->record.spec.target->hand_over &&
	       dev->server.answer != UB_SERVED_YES &&
	       (dev->info.state == UBLK_S_DEV_QUIESCED || dev->info.state == UBLK_S_DEV_FAIL_IO);
}

/* Of one without a server. */
static const char *find_loss(const struct ub_dev *dev)
{
	bool fails = dev->info.state == UBLK_S_DEV_FAIL_IO;

	if (dev->server.answer == UB_SERVED_YES)
		return "parked: requests wait until its server, or another one, takes over";
	if (has_lost_data(dev))
		return fails ? "unless it is being upgraded, its data is lost: requests fail"
			     : "unless it is being upgraded, its data is lost: requests wait";
	if (dev->record.parked)
		return fails ? "parked on purpose: requests fail until another server takes over"
			     : "parked on purpose: requests wait for another server";
	if (dev->restart.state == UB_RESTART_GAVE_UP)
		return fails ? "its server died, and starting another one was given up: requests "
			       "fail"
			     : "its server died, and starting another one was given up: requests "
			       "wait";
	if (dev->restart.state == UB_RESTART_TRIES || dev->restart.state == UB_RESTART_WAITS)
		return fails ? "its server died: requests fail until another one starts, which is "
			       "tried"
			     : "its server died: requests wait until another one starts, which is "
			       "tried";
	return fails ? "its server died: requests fail until another one takes over"
		     : "its server died: requests wait for another one";
}

static const char *find_status(const struct ub_dev *dev)
{
	switch (dev->info.state) {
	case UBLK_S_DEV_QUIESCED:
	case UBLK_S_DEV_FAIL_IO:
		return find_loss(dev);
	case UBLK_S_DEV_LIVE:
		if (!ub_dev_is_live(dev))
			return "its server is gone, and the driver waits for its last requests";
		return dev->restart.state == UB_RESTART_UNWATCHED
			       ? "nobody would start a new server if its own died"
			       : NULL;
	case UBLK_S_DEV_DEAD:
		if (!ub_dev_is_orphan(dev))
			return "not started: it is being made, or was stopped";
		return "dead: it has no server, and cannot get one again";
	default:
		return "in a state that this program does not know";
	}
}

static bool is_lost(const struct ub_dev *dev)
{
	return dev->info.state == UBLK_S_DEV_DEAD || !has_recovery(dev) || has_lost_data(dev);
}

static const char *find_action(const struct ub_dev *dev)
{
	if (is_lost(dev))
		return "ublk del %u";
	return dev->managed ? "ublk recover %u"
			    : "recover it with the program that made it, or give it up: "
			      "ublk del --force %u";
}

/* A device that is perhaps of ours, and whose record is no help. */
static void tell_record(const struct ub_dev *dev, const char *text, char *status,
			size_t status_size, char *action, size_t action_size)
{
	char dir[PATH_MAX];

	(void)snprintf(status, status_size, "%s: %s",
		       text ? text : "it could not be recovered if its server died",
		       dev->record_error.msg);
	(void)snprintf(action, action_size,
		       "mend that (see: ls -la %s)%s; or give it up: ublk del%s %u",
		       ub_record_dir(dir, sizeof(dir)), text ? ", then: ublk recover" : "",
		       text ? " --force" : "", dev->id);
}

/* A process that is stopped, or in the kernel for something that does not end: what it is tells what to do. */
static void tell_process(int32_t pid, char *action, size_t action_size)
{
	(void)snprintf(action, action_size, "see what it does: ps -o pid,stat,wchan:32,args -Lp %d",
		       pid);
}

void ub_device_stall(const struct ub_dev_detail *detail, char *status, size_t status_size,
		     char *action, size_t action_size)
{
	const char *name = ub_desc_op_name(detail->stalled_op);

	(void)snprintf(
		status, status_size,
		"for %llu seconds its server (process %d) has had a request in hand that takes "
		"too long, now a %s (queue %u)",
		(unsigned long long)detail->stalled_seconds, detail->dev.server.pid,
		name ? name : "strange one", detail->stalled_queue);
	tell_process(detail->dev.server.pid, action, action_size);
}

void ub_device_away(const struct ub_dev_detail *detail, char *status, size_t status_size,
		    char *action, size_t action_size)
{
	if (detail->away_fenced) {
		(void)snprintf(status, status_size,
			       "another client has had its server shut out of what it serves, %llu "
			       "seconds ago, and all I/O fails",
			       (unsigned long long)detail->away_seconds);
		(void)snprintf(action, action_size, "when nobody else uses that: ublk recover %u",
			       detail->dev.id);
		return;
	}
	(void)snprintf(status, status_size,
		       "what it serves has been away for %llu seconds: %s (%llu tries)",
		       (unsigned long long)detail->away_seconds, ub_away_words(-detail->away_error),
		       (unsigned long long)detail->away_tries);
	if (ub_away_lacks_program(-detail->away_error)) {
		(void)snprintf(action, action_size,
			       "another server starts another one: ublk upgrade %u",
			       detail->dev.id);
		return;
	}
	(void)snprintf(action, action_size,
		       "bring that back, and it goes on; or give it up: ublk del --force %u",
		       detail->dev.id);
}

void ub_device_silence(const struct ub_dev *dev, unsigned seconds, char *status, size_t status_size,
		       char *action, size_t action_size)
{
	(void)snprintf(status, status_size,
		       "its server (process %d) has not answered for %u seconds; its queues may go "
		       "on",
		       dev->server.pid, seconds);
	tell_process(dev->server.pid, action, action_size);
}

void ub_device_health(const struct ub_dev *dev, char *status, size_t status_size, char *action,
		      size_t action_size)
{
	const char *text = find_status(dev);

	*status = *action = '\0';
	if (dev->record_error.code && !is_lost(dev)) {
		tell_record(dev, text, status, status_size, action, action_size);
		return;
	}
	if (text) {
		const char *what = find_action(dev);
		const char *id = strstr(what, "%u");

		(void)snprintf(status, status_size, "%s", text);
		(void)snprintf(action, action_size, "%.*s%u", (int)(id - what), what, dev->id);
		return;
	}
	if (!dev->managed || !dev->record.write_error)
		return;
	(void)snprintf(status, status_size, "a write failed (%s): what was not synced may be lost",
		       strerror(-dev->record.write_error));
	(void)snprintf(action, action_size,
		       "mend %s, remove the device and make it anew: "
		       "ublk del %u",
		       dev->record.backings.count == 1 ? dev->record.backings.at[0].path
						       : "what it serves",
		       dev->id);
}
