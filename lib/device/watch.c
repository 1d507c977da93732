/* SPDX-License-Identifier: MIT */
#include "device/watch.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "kernel/node.h"
#include "kernel/uevent.h"

/* The inode of the machine's own namespace of users (PROC_USER_INIT_INO). */
#define FIRST_USER_NAMESPACE 0xEFFFFFFDU

/* The kernel sends them to the network namespaces of that one only (uevent_net_init()). */
static bool are_uevents_heard(void)
{
	_cleanup_close_ int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int users = net < 0 ? -1 : ioctl(net, NS_GET_USERNS);
	struct stat st;

	return users >= 0 && fstat(users, &st) == 0 && st.st_ino == FIRST_USER_NAMESPACE;
}

void ub_watch_open(struct ub_watch *ret_watch)
{
	ret_watch->uevents = ub_uevent_open();
	ret_watch->heard = ret_watch->uevents >= 0 && are_uevents_heard();
	ret_watch->nodes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ret_watch->nodes >= 0)
		(void)inotify_add_watch(ret_watch->nodes, "/dev", IN_CREATE | IN_DELETE);
}

void ub_watch_close(struct ub_watch *watch)
{
	ub_close(&watch->uevents);
	ub_close(&watch->nodes);
}

bool ub_watch_device(const struct ub_watch *watch, uint32_t id)
{
	char path[32];

	return watch->nodes >= 0 &&
	       inotify_add_watch(watch->nodes, ub_dev_char_path(id, path),
				 IN_OPEN | IN_CLOSE | IN_ATTRIB | IN_DELETE_SELF) >= 0;
}

/* Of a node that is watched by itself there is no name. */
static bool is_about_device(const struct inotify_event *event)
{
	return event->len == 0 || strncmp(event->name, "ublk", 4) == 0;
}

static bool take_nodes(int fd)
{
	_Alignas(struct inotify_event) char events[4096];
	bool any = false;
	ssize_t n;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (const char *p = events; p < events + n;) {
			const struct inotify_event *event = (const void *)p;

			any |= is_about_device(event);
			p += sizeof(*event) + event->len;
		}
	return any;
}

bool ub_watch_wait(const struct ub_watch *watch, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = watch->uevents, .events = POLLIN},
		{.fd = watch->nodes, .events = POLLIN},
	};
	int64_t deadline = ub_now_ms() + timeout_ms;
	bool any = false;

	do {
		if (poll(fds, UB_ARRAY_SIZE(fds), ub_left_ms(deadline)) <= 0)
			continue;
		if (fds[0].revents)
			any |= ub_uevent_take(watch->uevents);
		if (fds[1].revents)
			any |= take_nodes(watch->nodes);
	} while (!any && ub_left_ms(deadline));
	return any;
}
