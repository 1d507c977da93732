/* SPDX-License-Identifier: MIT */
#include "device/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/retry.h"
#include "kernel/uevent.h"
#include "process/process.h"
#include "record/dir.h"

/* So long after an event a device may need to become what it will be. */
#define SETTLE_MS 2000

/* A server whose end is waited for. */
struct followed {
	int32_t pid;
	uint64_t start_time;
	int fd;    /* a pidfd; -1: it has ended */
	bool seen; /* it still serves a device */
};

struct ub_events {
	int epoll, uevents, records;
	struct followed *servers;
	size_t count;
	struct ub_retry retry;
	bool settling; /* a device is not yet what it will be */
};

void ub_events_freep(struct ub_events **events)
{
	struct ub_events *e = *events;

	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		ub_close(&e->servers[i].fd);
	free(e->servers);
	ub_close(&e->records);
	ub_close(&e->uevents);
	ub_close(&e->epoll);
	free(e);
	*events = NULL;
}

static int add(const struct ub_events *e, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_all(struct ub_events *e)
{
	int ret;

	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll < 0)
		return -errno;
	e->uevents = ub_uevent_open();
	if (e->uevents < 0)
		return e->uevents;
	e->records = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (e->records < 0)
		return -errno;
	ret = add(e, e->uevents);
	return ret ? ret : add(e, e->records);
}

/* The folder comes with the first device. Each record that is new is renamed into it. */
static void watch_records(struct ub_events *e)
{
	for (unsigned place = 0; place < UB_RECORD_PLACES; place++) {
		_cleanup_close_ int dir = ub_record_dir_open_place(place, NULL);
		char path[40];

		if (dir < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
		(void)inotify_add_watch(e->records, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
	}
}

int ub_events_open(struct ub_events **ret_events, struct ub_error *err)
{
	_cleanup_(ub_events_freep)
	struct ub_events *e = calloc(1, sizeof(*e));
	int ret = -ENOMEM;

	if (e) {
		*e = (struct ub_events){.epoll = -1, .uevents = -1, .records = -1};
		ret = open_all(e);
	}
	if (ret)
		return ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot watch the devices");
	watch_records(e);
	ub_retry_init(&e->retry, SETTLE_MS);
	*ret_events = UB_TAKE_PTR(e);
	return 0;
}

int ub_events_fd(const struct ub_events *events)
{
	return events->epoll;
}

static bool is_record(const struct inotify_event *event)
{
	const char *end = event->len ? strrchr(event->name, '.') : NULL;

	return event->mask & IN_Q_OVERFLOW || (end && strcmp(end, ".json") == 0);
}

static bool take_records(struct ub_events *e)
{
	_Alignas(struct inotify_event) char events[4096];
	bool ours = false;
	ssize_t len;

	while ((len = read(e->records, events, sizeof(events))) > 0) {
		const struct inotify_event *event;

		for (char *at = events; at < events + len; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)(void *)at;
			ours |= is_record(event);
		}
	}
	return ours;
}

static bool take_end(struct ub_events *e, int fd)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->servers[i].fd == fd)
			ub_close(&e->servers[i].fd);
	return true;
}

bool ub_events_take(struct ub_events *events)
{
	struct epoll_event ready[16];
	bool ours = false;
	int count = epoll_wait(events->epoll, ready, UB_ARRAY_SIZE(ready), 0);

	for (int i = 0; i < count; i++) {
		int fd = ready[i].data.fd;

		if (fd == events->uevents)
			ours |= ub_uevent_take(fd);
		else if (fd == events->records)
			ours |= take_records(events);
		else
			ours |= take_end(events, fd);
	}
	if (ours)
		ub_retry_init(&events->retry, SETTLE_MS);
	return ours;
}

static struct followed *find_server(struct ub_events *e, const struct ub_served_by *server)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->servers[i].pid == server->pid &&
		    e->servers[i].start_time == server->start_time)
			return &e->servers[i];
	return NULL;
}

static void look_again(struct ub_events *e)
{
	e->settling = true;
	ub_retry_init(&e->retry, SETTLE_MS);
}

/* There is room for one more. One that is gone by now has ended after it was looked at. */
static void follow_server(struct ub_events *e, const struct ub_served_by *server)
{
	struct followed *one = find_server(e, server);

	if (!one) {
		one = &e->servers[e->count++];
		*one = (struct followed){.pid = server->pid, .start_time = server->start_time};
		one->fd = ub_process_open(server->pid, server->start_time);
		if (one->fd == -ESRCH)
			look_again(e);
		if (one->fd >= 0 && add(e, one->fd) != 0)
			ub_close(&one->fd);
	}
	one->seen = true;
}

static void forget_others(struct ub_events *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (e->servers[i].seen)
			e->servers[kept++] = e->servers[i];
		else
			ub_close(&e->servers[i].fd);
	}
	e->count = kept;
	for (size_t i = 0; i < kept; i++)
		e->servers[i].seen = false;
}

/* The driver's word and the server's life do not fit together: one of them is about to change. */
static bool is_settling(const struct ub_dev *dev)
{
	if (dev->info.state == UBLK_S_DEV_LIVE)
		return !ub_dev_is_live(dev);
	return dev->server.answer == UB_SERVED_YES;
}

int ub_events_follow(struct ub_events *events, const struct ub_dev *devs, size_t count)
{
	size_t room = events->count + count;
	struct followed *servers =
		reallocarray(events->servers, room ? room : 1, sizeof(*events->servers));

	if (!servers)
		return -ENOMEM;
	events->servers = servers;
	events->settling = false;
	watch_records(events);
	for (size_t i = 0; i < count; i++) {
		events->settling |= is_settling(&devs[i]);
		if (devs[i].server.pid > 0)
			follow_server(events, &devs[i].server);
	}
	forget_others(events);
	return 0;
}

int ub_events_pause(struct ub_events *events)
{
	int pause = events->settling ? ub_retry_pause(&events->retry) : 0;

	return pause ? pause : -1;
}
