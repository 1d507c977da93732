/* SPDX-License-Identifier: MIT */
/* What is kept of the device that is served: the record, written anew whenever it changes. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "process/process.h"
#include "record/store.h"
#include "server/server.h"
#include "spec/data_path.h"

/* How often what is to be known of the device is written again, where it could not be. */
#define RETRY_MS 2000

static int write_record(struct server *s, struct ub_error *err)
{
	struct ub_record r = s->record;
	int ret = ub_fault("record");

	if (ret)
		return ub_fail(err, UB_STAGE_RECORD, ret, "cannot write the record of ublkb%u",
			       r.id);
	(void)snprintf(r.version, sizeof(r.version), "%s", UB_VERSION);
	r.queues = s->info->nr_hw_queues;
	r.depth = s->info->queue_depth;
	r.max_io = s->info->max_io_buf_bytes;
	r.flags = s->info->flags;
	r.data_path = ub_path_granted(r.flags);
	r.pid = getpid();
	(void)ub_process_start_time(r.pid, &r.start_time);
	r.threads = s->nr_queues;
	r.memory.base = (uintptr_t)s->space.base;
	r.memory.layout = s->space.layout;
	r.memory.target_base = (uintptr_t)s->target.memory;
	r.memory.target_size = s->target.memory_size;
	r.backings = s->target.backings;
	r.remote = s->target.remote;
	r.export = s->target.export;
	return ub_record_write(&r, err);
}

int server_write_record(struct server *s, struct ub_error *err)
{
	bool goes_on = s->recorded || s->recovers;
	int ret = write_record(s, err);

	if (ret && goes_on && !s->unwritten)
		ub_log(&s->log, LOG_ERR, "cannot write the record, trying again: %s",
		       strerror(-ret));
	else if (!ret && s->unwritten)
		ub_log(&s->log, LOG_NOTICE, "the record is written again");
	s->unwritten = ret;
	s->retry_ms = ub_now_ms() + RETRY_MS;
	s->noted = s->record.notes.count;
	return ret;
}

void server_take_loss(struct ub_record *record)
{
	if (record->may_lose && !record->write_error)
		record->write_error = -EIO;
	record->may_lose = false;
}

void server_read_record(struct server *s)
{
	struct ub_record *r = &s->record, now = {0};

	if (ub_record_read(r->id, r->token, &now, NULL) != 0)
		return;
	r->taking_over = now.taking_over;
	r->resizing = now.resizing;
	if (r->changes != now.changes)
		server_take_settings(s, &now.spec);
	r->changes = now.changes;
	r->pid = now.pid;
	r->start_time = now.start_time;
	r->write_error = now.write_error;
	r->may_lose = now.may_lose;
	s->target.flushed = now.flushed;
	server_take_loss(r);
	atomic_store(&s->target.write_error, r->write_error);
	ub_record_done(&now);
}
