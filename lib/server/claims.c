/* SPDX-License-Identifier: MIT */
/* What one device alone may have: its backings and its name, which a record claims for as long as the device
 * is there. */
#include <errno.h>

#include "record/store.h"
#include "server/server.h"

static bool is_there(void *arg, uint32_t id, uint64_t token)
{
	struct server *s = arg;
	struct ublksrv_ctrl_dev_info info;

	return ub_ctrl_get_info(s->ctrl, id, &info) == 0 && info.ublksrv_flags == token;
}

static int check_claim(struct server *s, const struct ub_backing *backing, struct ub_error *err)
{
	const struct ub_record_alive alive = {.is_there = is_there, .arg = s};
	uint32_t id;
	int ret = ub_record_find_claim(backing, &alive, &id);

	if (ret == 1 && s->recovers && id == s->record.id)
		return 0;
	if (ret == 1)
		return ub_fail_text(err, UB_STAGE_LOCK, -EBUSY, "cannot serve %s: ublkb%u has it",
				    backing->path, id);
	return ret < 0 ? ub_fail(err, UB_STAGE_RECORD, ret, "cannot tell whether a device has %s",
				 backing->path)
		       : 0;
}

int server_check_claims(struct server *s, struct ub_error *err)
{
	const struct ub_backings *backings = &s->target.backings;
	int ret = 0;

	for (unsigned i = 0; i < backings->count && !s->record.spec.no_lock && !ret; i++)
		ret = check_claim(s, &backings->at[i], err);
	return ret;
}

int server_claim_name(struct server *s, struct ub_error *err)
{
	const struct ub_record_alive alive = {.is_there = is_there, .arg = s};
	const char *name = s->record.spec.name;
	uint32_t id;

	if (!name)
		return 0;
	s->name_lock = ub_record_claim_name(name, &alive, &id, err);
	if (s->name_lock == -EEXIST)
		return ub_fail_text(err, UB_STAGE_RECORD, -EEXIST,
				    "cannot add a device named %s: ublkb%u has that name", name,
				    id);
	if (s->name_lock == -EAGAIN)
		return ub_fail_text(err, UB_STAGE_RECORD, -EEXIST,
				    "cannot add a device named %s: another one of that name is "
				    "just being added",
				    name);
	return s->name_lock < 0 ? s->name_lock : 0;
}
