/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clean.h"

int ub_interrupt_hold(const int *signals, size_t count, struct ub_interrupt *ret_interrupt)
{
	sigset_t set, before;
	int fd;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < count; i++) {
		struct sigaction action;

		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(&set, signals[i]);
	}
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	*ret_interrupt = (struct ub_interrupt){.fd = fd, .before = before, .held = set};
	return 0;
}

int ub_interrupt_open(struct ub_interrupt *ret_interrupt)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	return ub_interrupt_hold(signals, UB_ARRAY_SIZE(signals), ret_interrupt);
}

bool ub_interrupt_take(const struct ub_interrupt *interrupt, struct signalfd_siginfo *ret_info)
{
	return read(interrupt->fd, ret_info, sizeof(*ret_info)) == sizeof(*ret_info);
}

bool ub_interrupt_is_there(const struct ub_interrupt *interrupt)
{
	struct pollfd pfd = {.fd = interrupt->fd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

void ub_interrupt_let(const struct ub_interrupt *interrupt, FILE *file)
{
	if (interrupt->fd >= 0 && !isatty(fileno(file)))
		(void)sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
}

void ub_interrupt_hold_again(const struct ub_interrupt *interrupt)
{
	if (interrupt->fd >= 0)
		(void)sigprocmask(SIG_BLOCK, &interrupt->held, NULL);
}

void ub_interrupt_close(struct ub_interrupt *interrupt)
{
	if (interrupt->fd < 0)
		return;
	ub_close(&interrupt->fd);
	(void)sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
}
