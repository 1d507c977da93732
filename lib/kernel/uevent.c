/* SPDX-License-Identifier: MIT */
#include "kernel/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"

/* The kernel's own; 2 is what udev makes of it. */
#define KERNEL_GROUP 1

int ub_uevent_open(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	return UB_TAKE_FD(fd);
}

/* Takes all that there are. Return: whether one has one of the two words, or some were lost. */
static bool take(int fd, const char *word, const char *other)
{
	bool ours = false;
	char text[8192];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0 || (n < 0 && errno == ENOBUFS)) {
		text[n < 0 ? 0 : n] = '\0';
		ours |= n < 0 || strstr(text, word) || strstr(text, other);
	}
	return ours;
}

/* "change@/devices/virtual/block/ublkb0", and more after its NUL; a partition's counts as well. */
bool ub_uevent_take(int fd)
{
	return take(fd, "/ublkb", "/ublkc");
}

bool ub_uevent_take_disks(int fd)
{
	return take(fd, "/block/", "/block/");
}
