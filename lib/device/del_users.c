/* SPDX-License-Identifier: MIT */
#include "device/del_internal.h"

#include <errno.h>

#include "device/unused.h"
#include "process/process.h"

/* How long the helpers are kept waiting for the look for users. */
#define LOOK_MS 2000

/* In the helper: one process looks for all. But the device is claimed meanwhile, and must not stay so
 * when that process has been stopped. */
void ub_del_ask_for_users(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			  struct ub_unused_seen *ret_seen)
{
	if (ub_helper_ask(LOOK_MS, ret_seen, sizeof(*ret_seen)) != 0)
		ub_unused_look_here(dev, server, ret_seen);
}

/* Return: its server, which is no user, or 0: its number may be another process's by now. */
static int32_t server_of(const struct ub_del_run *d)
{
	return d->server_fd >= 0 && ub_process_wait(d->server_fd, 0) == -ETIMEDOUT
		       ? d->dev->server.pid
		       : 0;
}

void ub_del_answer(struct ub_del_run *dels, size_t count)
{
	struct ub_users_query queries[UB_DEL_AT_ONCE_MAX];
	struct ub_del_run *asking[UB_DEL_AT_ONCE_MAX];
	size_t asked = 0;
	int ret;

	for (size_t i = 0; i < count; i++) {
		if (!dels[i].asks)
			continue;
		/* The helper has claimed the device. */
		queries[asked] = (struct ub_users_query){
			.id = dels[i].dev->id,
			.except = {server_of(&dels[i]), dels[i].helper.pid},
		};
		asking[asked++] = &dels[i];
	}
	if (!asked)
		return;
	ret = ub_users_find_some(queries, asked);
	for (size_t i = 0; i < asked; i++) {
		struct ub_unused_seen seen;

		ub_unused_judge(&asking[i]->dev->info, ret, &queries[i].users, &seen);
		(void)ub_helper_tell(&asking[i]->helper, &seen, sizeof(seen));
		/* It has a moment to make something of it. */
		if (ub_left_ms(asking[i]->until) < UB_DEL_ANSWER_MS)
			asking[i]->until = ub_now_ms() + UB_DEL_ANSWER_MS;
		ub_users_done(&queries[i].users);
		asking[i]->asks = false;
	}
}

int ub_del_say_used(struct ub_del_run *d, enum ub_user_kind kind)
{
	(void)ub_users_find(d->dev->id, d->dev->server.pid, d->users);
	if (d->users->count == 0 && (kind == UB_USER_CLAIM || kind == UB_USER_UNSEEN))
		(void)ub_users_add(d->users, kind, d->name, "", 0);
	return ub_fail_text(d->err, UB_STAGE_STOP, -EBUSY, "cannot stop %s: it is in use", d->name);
}
