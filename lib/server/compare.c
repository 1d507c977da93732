/* SPDX-License-Identifier: MIT */
/*
 * Of a recovery: is what is there by now what the device was? The driver has kept the parameters that its
 * clients were told, and the record what stood behind it; the new server has opened what it could.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "kernel/sysfs.h"
#include "server/server.h"

/* Return: bytes; 0: not known. */
static uint64_t size_of_disk(uint32_t id)
{
	uint64_t sectors;

	return ub_sysfs_u64(&sectors, "/sys/block/ublkb%u/size", id) == 0 ? sectors << 9 : 0;
}

/* A takeover's record was read while the device could change its size. */
uint64_t server_size_to_serve(const struct server *s)
{
	bool unknown = s->record.resizing || s->ended_ms || s->record.spec.target->remote;
	uint64_t size = unknown ? size_of_disk(s->record.id) : 0;

	return s->record.resizing || size != s->record.backings.at[0].length ? size : 0;
}

/* A client that was told that there is no cache never flushes. */
static void compare_cache(struct server *s, const struct ublk_params *params)
{
	struct ub_tgt *t = &s->target;

	if (!t->volatile_cache || params->basic.attrs & UBLK_ATTR_VOLATILE_CACHE)
		return;
	t->durable_writes = true;
	ub_note(&s->record.notes,
		"each write is made durable: %s has a volatile cache by now, and clients were told "
		"that there is none",
		t->backings.count ? t->backings.at[0].path
				  : t->type->place(s->record.spec.target_args));
}

/* Where nothing is known of the backings but what the user said: are they another device's? */
static int compare_unproved(struct server *s, struct ub_error *err)
{
	const struct ub_backings *backings = &s->target.backings;
	const struct ub_backing *b = backings->at;

	if (s->record.backings.count)
		return 0;
	if (backings->count == 1 && b->size - b->offset > s->target.size)
		ub_note(&s->record.notes,
			"%s has %llu bytes from %llu on, and the device the first %llu of them",
			b->path, (unsigned long long)(b->size - b->offset),
			(unsigned long long)b->offset, (unsigned long long)s->target.size);
	return server_check_claims(s, err);
}

static const char *describe_difference(const struct ub_tgt *t,
				       const struct ublk_param_basic *driver, char *buf,
				       size_t size)
{
	if (t->size >> 9 != driver->dev_sectors)
		(void)snprintf(buf, size, "it has %llu bytes, and the server would serve %llu",
			       (unsigned long long)driver->dev_sectors << 9,
			       (unsigned long long)t->size);
	else if (t->logical_block_size != 1U << driver->logical_bs_shift)
		(void)snprintf(buf, size,
			       "its logical blocks have %u bytes, and the server's would have %u",
			       1U << driver->logical_bs_shift, t->logical_block_size);
	else if (t->read_only && !(driver->attrs & UBLK_ATTR_READ_ONLY))
		(void)snprintf(buf, size, "it can be written to, and what it would serve cannot");
	else
		return NULL;
	return buf;
}

int server_compare(struct server *s, struct ub_error *err)
{
	const struct ub_tgt *t = &s->target;
	struct ublk_params params;
	uint32_t id = s->record.id;
	char difference[120];
	int ret = ub_ctrl_get_info(s->ctrl, id, s->info);

	if (!ret && s->info->ublksrv_flags != s->record.token)
		ret = -ENODEV;
	if (!ret)
		ret = ub_ctrl_get_params(s->ctrl, s->info, &params);
	if (ret)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", id);
	if (describe_difference(t, &params.basic, difference, sizeof(difference)))
		return ub_fail_text(err, UB_STAGE_BACKING, -ESTALE, "cannot recover ublkb%u: %s",
				    id, difference);
	compare_cache(s, &params);
	return compare_unproved(s, err);
}

/* Whoever changes the size of a device without a server tells nobody: he may have done so since it was
 * looked at. If he comes later, he finds this server. */
void server_take_size(struct server *s)
{
	struct ublk_params params;
	uint64_t size;
	bool is_record;
	int ret = ub_ctrl_get_params(s->ctrl, s->info, &params);

	size = ret ? 0 : params.basic.dev_sectors << 9;
	if (!size || size == s->target.size)
		return;
	ret = server_begin_resize(s, size, &is_record);
	if (!ret)
		ret = server_end_resize(s, size, true);
	if (ret)
		ub_log(&s->log, LOG_ERR, "cannot serve the %llu bytes that it has by now: %s",
		       (unsigned long long)size, strerror(-ret));
}
