/* SPDX-License-Identifier: MIT */
#include "device/use_events.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/users_internal.h"
#include "kernel/uevent.h"

/* Places in the array. */
enum { NODES, UEVENTS, TABLES };

/* Each tells by POLLPRI that it has changed since it was opened, or polled. */
static const char *const tables[] = {"/proc/self/mountinfo", "/proc/1/mountinfo", "/proc/swaps"};

_Static_assert(TABLES + UB_ARRAY_SIZE(tables) == UB_USE_EVENTS_FDS, "each has its place");

void ub_use_events_open(struct ub_use_events *ret_events)
{
	ret_events->last = 0;
	ret_events->fds[NODES] = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ret_events->fds[UEVENTS] = ub_uevent_open();
	for (size_t i = 0; i < UB_ARRAY_SIZE(tables); i++)
		ret_events->fds[TABLES + i] = open(tables[i], O_RDONLY | O_CLOEXEC);
}

void ub_use_events_close(struct ub_use_events *events)
{
	for (size_t i = 0; i < UB_USE_EVENTS_FDS; i++)
		ub_close(&events->fds[i]);
}

void ub_use_events_fill(const struct ub_use_events *events,
			struct pollfd ret_fds[static UB_USE_EVENTS_FDS])
{
	for (size_t i = 0; i < UB_USE_EVENTS_FDS; i++)
		ret_fds[i] = (struct pollfd){.fd = events->fds[i],
					     .events = i < TABLES ? POLLIN : POLLPRI};
}

static void take_nodes(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		continue;
}

bool ub_use_events_take(const struct ub_use_events *events,
			const struct pollfd fds[static UB_USE_EVENTS_FDS])
{
	bool ours = fds[NODES].revents;

	if (fds[NODES].revents)
		take_nodes(events->fds[NODES]);
	if (fds[UEVENTS].revents)
		ours |= ub_uevent_take_disks(events->fds[UEVENTS]);
	for (size_t i = TABLES; i < UB_USE_EVENTS_FDS; i++)
		ours |= fds[i].revents != 0;
	return ours;
}

bool ub_use_events_follow(struct ub_use_events *events, uint32_t id)
{
	_cleanup_(ub_nodes_done)
	struct ub_nodes nodes = {0};
	bool is_new = false;

	(void)ub_nodes_add(&(struct ub_users_query){.id = id}, &nodes);
	for (size_t i = 0; i < nodes.count; i++) {
		char path[sizeof("/dev/") + sizeof(nodes.list[i].name)];
		int number;

		(void)snprintf(path, sizeof(path), "/dev/%s", nodes.list[i].name);
		number = inotify_add_watch(events->fds[NODES], path, IN_OPEN | IN_CLOSE);
		is_new |= number > events->last;
		if (number > events->last)
			events->last = number;
	}
	return is_new;
}
