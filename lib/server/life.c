/* SPDX-License-Identifier: MIT */
/* A device's life after its start, and its end: by us, by the driver, or by a fault. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/same.h"
#include "device/users.h"
#include "record/store.h"
#include "server/server.h"

/* How soon a stop that has failed is tried again. */
#define STOP_RETRY_MS 500
/* How long users' data may take that is not written yet, when the device is taken from them: less than
 * systemd waits for after the second SIGTERM. */
#define FLUSH_MS 20000
/* How long the deletion of what is stopped may take, before the rest is left to the command line. */
#define DELETE_MS 8000

static void log_users(struct server *s)
{
	_cleanup_(ub_users_done)
	struct ub_users users = {0};
	char text[UB_USER_TEXT_SIZE];

	(void)ub_users_find(s->record.id, getpid(), &users);
	ub_log(&s->log, LOG_NOTICE,
	       "asked to stop, but in use: serving until the last user has gone; a second SIGTERM "
	       "flushes it, and takes it away");
	for (size_t i = 0; i < users.count; i++)
		ub_log(&s->log, LOG_NOTICE, "%s",
		       ub_user_describe(&users.list[i], text, sizeof(text)));
	/* Mounts that were made in a private namespace can't be seen from this one. */
	if (!users.count)
		ub_log(&s->log, LOG_NOTICE, "mounted, or claimed by somebody not seen from here");
}

/* Takes the device from who uses it, but not what they have written. */
static int stop_by_force(struct server *s)
{
	int ret = s->flushed ? 0 : server_errand(s, ERRAND_FLUSH, FLUSH_MS);

	s->flushed = true;
	if (ret && ret != -ENODEV)
		ub_log(&s->log, LOG_ERR, "what was written last may be lost: cannot flush: %s",
		       strerror(-ret));
	return server_errand(s, ERRAND_STOP, -1);
}

/* Before what has failed is tried again: whoever speaks with the server meanwhile makes it no shorter. */
static void wait_for_retry(struct server *s)
{
	int64_t until = ub_now_ms() + STOP_RETRY_MS;
	unsigned terms = s->terms;

	while (ub_left_ms(until) > 0 && s->terms == terms && !s->queues_ended)
		server_wait(s, ub_left_ms(until));
}

/* Stops the device: at once, or when nobody uses it any more. Return: true when it is stopped; false:
 * it is to be seen what has happened. */
static bool try_stop(struct server *s)
{
	enum server_errand how = s->told_in_use ? ERRAND_WAIT_STOP : ERRAND_TRY_STOP;
	int ret = s->terms > 1 ? stop_by_force(s) : server_errand(s, how, -1);

	if (ret == 0 || ret == -ENODEV)
		return true;
	if (ret == -EBUSY && !s->told_in_use) {
		s->told_in_use = true;
		log_users(s);
	} else if (ret != -EINTR) {
		if (!s->told_stop_error)
			ub_log(&s->log, LOG_ERR, "cannot stop: %s", strerror(-ret));
		s->told_stop_error = true;
		wait_for_retry(s);
	}
	return false;
}

/* Those beside the record that are told from others' by the number alone. */
static void remove_files(const struct server *s)
{
	server_remove_control(s);
	if (s->counts)
		server_remove_stats(s);
}

/*
 * Removes the device and its record. While this process still has the char device open, the number
 * is not given to another one, so that what is asked is what is deleted; DEL_DEV would wait for
 * that very descriptor, hence the variant that does not. An ordinary user's device does not have
 * that one: then the descriptor goes first.
 */
static void remove_device(struct server *s)
{
	uint32_t del = UBLK_U_CMD_DEL_DEV_ASYNC;
	int ret;

	remove_files(s);
	if (s->info->flags & UBLK_F_UNPRIVILEGED_DEV) {
		server_free_queues(s);
		del = UBLK_U_CMD_DEL_DEV;
	}
	ret = ub_same_command(s->ctrl, s->info, del, 0, DELETE_MS);
	if (ret != 0 && ret != -ENODEV)
		ub_log(&s->log, LOG_ERR, "cannot remove the device: %s", strerror(-ret));
	else
		s->added = false;
	(void)ub_record_remove(s->record.id, s->record.token);
}

/* The driver has aborted every tag: somebody stopped the device. */
static int ended_by_driver(struct server *s)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_ctrl_get_info(s->ctrl, s->record.id, &info);
	bool users_own = s->info->flags & UBLK_F_UNPRIVILEGED_DEV;
	bool dead = ret == -ENODEV || (ret == 0 && (info.state == UBLK_S_DEV_DEAD ||
						    info.ublksrv_flags != s->record.token));

	ub_log(&s->log, LOG_NOTICE, "%s",
	       dead      ? "stopped"
	       : s->park ? "parked: its requests wait for another server"
			 : "let go by the driver");
	/* Whoever stopped it would do so, too, but would wait for a grace period meanwhile, under a lock of
	 * the whole driver, if nobody had the char device open (blk_mq_free_tag_set()). Of an ordinary user's
	 * device it would wait all the same. */
	if (dead && !users_own)
		remove_device(s);
	else if (dead)
		remove_files(s);
	/* Its threads have had it flushed before they ended. The next server begins when this one lets go. */
	if (!dead && s->park && s->target.type->leaves && !s->record.may_lose &&
	    !s->record.write_error) {
		s->record.flushed = true;
		(void)server_write_record(s, NULL);
	}
	if (s->target.type->let_go)
		s->target.type->let_go(&s->target);
	server_free_queues(s);
	if (dead && users_own)
		(void)ub_record_remove(s->record.id, s->record.token);
	server_close_target(s);
	return 0;
}

static int ended_by_us(struct server *s)
{
	server_join_queues(s);
	remove_device(s);
	server_free_queues(s);
	server_close_target(s);
	ub_log(&s->log, LOG_NOTICE, "stopped and removed");
	return 0;
}

/* Return: what is left to do, as milliseconds to wait for something else. */
static int settle_target(struct server *s)
{
	return s->target.type->settle && s->target.type->settle(&s->target) ? 0 : -1;
}

int server_live(struct server *s)
{
	s->served_ms = ub_now_ms();
	ub_log(&s->log, LOG_INFO, "serving");
	/* A queue may have died since all had fetched: only of a device that is live it is the end. */
	(void)eventfd_write(s->event_fd, 1);
	for (;;) {
		if (s->park)
			server_park(s);
		if (s->queues_ended)
			return ended_by_driver(s);
		if ((s->terms || s->unbound) && try_stop(s))
			return ended_by_us(s);
		if (!s->terms && !s->unbound)
			server_wait(s, settle_target(s));
	}
}

/* Return: 0, or why the driver could not even be asked to. */
static int stop_queues(struct server *s)
{
	int ret;

	atomic_store(&s->handover->stays, 1);
	ret = server_errand(s, ERRAND_STOP, -1);
	if (ret == 0 || ret == -ENODEV) {
		server_join_queues(s);
		ret = 0;
	}
	atomic_store(&s->handover->stays, 0);
	return ret;
}

bool server_undo(struct server *s)
{
	if (s->abandons)
		return false;
	/* Half-way into a recovery: the kernel takes back what this process holds when it ends. */
	if (s->recovers && s->fetching)
		return false;
	if (s->fetching && stop_queues(s) != 0)
		return false; /* the command line removes the rest, when this process is gone */
	if (!s->recovers && s->added)
		remove_device(s);
	server_free_queues(s);
	ub_tgt_undo(&s->target);
	server_close_target(s);
	return true;
}
