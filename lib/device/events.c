/* SPDX-License-Identifier: MIT */
#include "device/events.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "kernel/node.h"
#include "kernel/uevent.h"
#include "process/process.h"
#include "record/dir.h"

#define FIRST_PAUSE_MS 2
#define LAST_PAUSE_MS 1024

/* A server whose end is waited for. */
struct followed {
	int32_t pid;
	uint64_t start_time;
	int fd;    /* a pidfd; negative: it has ended, or can't be watched */
	bool seen; /* it still serves a device */
};

struct ub_events {
	int epoll;
	int uevents; /* a netlink socket, or negative */
	int files;   /* inotify, or negative */
	int last;    /* of inotify's watches, whose numbers only grow */
	bool heard;  /* uevents reach this process */
	struct followed *servers;
	size_t count;
	int pause_ms;
};

void ub_events_freep(struct ub_events **events)
{
	struct ub_events *e = *events;

	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		ub_close(&e->servers[i].fd);
	free(e->servers);
	ub_close(&e->files);
	ub_close(&e->uevents);
	ub_close(&e->epoll);
	free(e);
	*events = NULL;
}

/* The kernel sends them to the network namespaces of that one only (uevent_net_init()). */
static bool are_uevents_heard(void)
{
	_cleanup_close_ int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int users = net < 0 ? -1 : ioctl(net, NS_GET_USERNS);
	struct stat st;

	return users >= 0 && fstat(users, &st) == 0 && st.st_ino == UB_PROCESS_FIRST_USERS;
}

static int add(const struct ub_events *e, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* Return: 1: it is watched from now on, and was not before; 0: it was already; or a negative errno. */
static int watch(struct ub_events *e, const char *path, uint32_t mask)
{
	int number = e->files < 0 ? -1 : inotify_add_watch(e->files, path, mask);

	if (number < 0)
		return e->files < 0 ? e->files : -errno;
	if (number <= e->last)
		return 0;
	e->last = number;
	return 1;
}

/* A folder comes with the first device. Each record that is new is renamed into it. Return: whether one
 * is watched that was not. */
static bool watch_records(struct ub_events *e)
{
	bool is_new = false;

	for (unsigned place = 0; place < UB_RECORD_PLACES; place++) {
		_cleanup_close_ int dir = ub_record_dir_open_place(place, NULL);
		char path[40];

		if (dir < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
		is_new |= watch(e, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) > 0;
	}
	return is_new;
}

int ub_events_open(struct ub_events **ret_events, struct ub_error *err)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int code = epoll < 0 ? -errno : -ENOMEM;
	struct ub_events *e = epoll < 0 ? NULL : malloc(sizeof(*e));

	if (!e) {
		ub_close(&epoll);
		return ub_fail(err, UB_STAGE_LOOKUP, code, "cannot watch the devices");
	}
	*e = (struct ub_events){
		.epoll = epoll,
		.uevents = ub_uevent_open(),
		.files = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.pause_ms = FIRST_PAUSE_MS,
	};
	if (e->uevents >= 0)
		e->heard = add(e, e->uevents) == 0 && are_uevents_heard();
	if (e->files >= 0 && add(e, e->files) != 0)
		ub_close(&e->files);
	(void)watch(e, "/dev", IN_CREATE | IN_DELETE | IN_ATTRIB);
	(void)watch_records(e);
	*ret_events = e;
	return 0;
}

int ub_events_fd(const struct ub_events *events)
{
	return events->epoll;
}

/* Of a node that is watched by itself there is no name. */
static bool is_about_device(const struct inotify_event *event)
{
	const char *end = event->len ? strrchr(event->name, '.') : NULL;

	return event->len == 0 || strncmp(event->name, "ublk", 4) == 0 ||
	       (end && strcmp(end, ".json") == 0);
}

static bool take_files(int fd)
{
	_Alignas(struct inotify_event) char events[4096];
	bool ours = false;
	ssize_t len;

	while ((len = read(fd, events, sizeof(events))) > 0) {
		const struct inotify_event *event;

		for (char *at = events; at < events + len; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)(void *)at;
			ours |= is_about_device(event);
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
		else if (fd == events->files)
			ours |= take_files(fd);
		else
			ours |= take_end(events, fd);
	}
	if (ours)
		events->pause_ms = FIRST_PAUSE_MS;
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

/* There is room for one more. Return: whether its end will be heard. */
static bool follow_server(struct ub_events *e, const struct ub_served_by *server)
{
	struct followed *one = find_server(e, server);

	if (!one) {
		one = &e->servers[e->count++];
		*one = (struct followed){.pid = server->pid, .start_time = server->start_time};
		one->fd = ub_process_open(server->pid, server->start_time);
		if (one->fd >= 0 && add(e, one->fd) != 0)
			ub_close(&one->fd);
	}
	one->seen = true;
	return one->fd >= 0;
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

/* The driver's word, its disk and its server's life do not fit together: one of them is about to
 * change. */
static bool is_settling(const struct ub_dev *dev)
{
	/* Of the last close of a deleted one nobody tells. */
	if (ub_dev_is_going(dev->id))
		return true;
	if (dev->info.state == UBLK_S_DEV_LIVE)
		return !ub_dev_is_live(dev) || !ub_dev_has_disk(dev->id);
	return dev->server.answer == UB_SERVED_YES;
}

/* Return: whether its next change may have no event, or has come since it was looked at. */
static bool follow(struct ub_events *e, const struct ub_dev *dev)
{
	char path[32];
	int node = watch(e, ub_dev_char_path(dev->id, path), IN_OPEN | IN_CLOSE);
	bool told = dev->server.pid > 0 && follow_server(e, &dev->server);

	/* A server of ours opens the node to take a device that has none, and tells the record. */
	if (node < 0 && dev->info.state == UBLK_S_DEV_LIVE && !told)
		return true;
	return node > 0 || is_settling(dev);
}

int ub_events_follow(struct ub_events *events, const struct ub_dev *devs, size_t count)
{
	size_t room = events->count + count;
	struct followed *servers =
		reallocarray(events->servers, room ? room : 1, sizeof(*events->servers));
	bool again;

	if (!servers)
		return -ENOMEM;
	events->servers = servers;
	again = watch_records(events) || !events->heard;
	for (size_t i = 0; i < count; i++)
		again |= follow(events, &devs[i]);
	forget_others(events);
	return again;
}

int ub_events_pause(struct ub_events *events)
{
	int pause = events->pause_ms;

	if (events->pause_ms < LAST_PAUSE_MS)
		events->pause_ms *= 2;
	return pause;
}

bool ub_events_are_past(const struct ub_events *events)
{
	return events->pause_ms >= LAST_PAUSE_MS;
}
