/* SPDX-License-Identifier: MIT */
#include "base/patience.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

#define ASK_MS 100

int ub_patience_poll(const struct ub_patience *p, int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	for (;;) {
		int left = ub_left_ms(p->deadline_ms);
		int ret = p->ask ? p->ask(p->arg) : 0;

		if (ret)
			return ret;
		ret = poll(&pfd, 1, p->ask && left > ASK_MS ? ASK_MS : left);
		if (ret > 0)
			return 0;
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ub_left_ms(p->deadline_ms) == 0)
			return -ETIMEDOUT;
	}
}
