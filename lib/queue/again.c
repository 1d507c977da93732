/* SPDX-License-Identifier: MIT */
/*
 * Commands that came to nothing for reasons that pass: each is given again, until that has gone on for
 * too long. This is off the way of those that succeed, which keep no account for it.
 *
 * io_uring takes memory for a command before the driver sees it (io_uring_cmd_prep(), Linux 6.12 to
 * 7.3), and what the driver itself does for a tag takes some before anything is changed: so after
 * ENOMEM nothing has happened, and the same command once more is exact.
 */
#include <errno.h>

#include "base/clock.h"
#include "queue/internal.h"

#define AGAIN_S 30U
#define ROUND 255U /* seconds that the clock goes round in */

bool ub_again(uint8_t *since)
{
	uint32_t now = (uint32_t)(ub_now_ms() / 1000 % ROUND), age;

	age = *since ? (now + 1 + ROUND - *since) % ROUND : ROUND;
	/* Whoever tries again all the time would have given up by then. */
	if (age >= 2 * AGAIN_S) {
		*since = (uint8_t)(now + 1);
		age = 0;
	}
	return age < AGAIN_S;
}

bool ub_io_again(struct ub_io *io, int res)
{
	uint8_t since = (uint8_t)io->flags;
	bool again = res == -ENOMEM && ub_again(&since);

	io->flags = (io->flags & ~0xffU) | since;
	return again;
}
