/* SPDX-License-Identifier: MIT */
#include "base/retry.h"

#include <stddef.h>
#include <time.h>

#include "base/clock.h"

#define FIRST_PAUSE_MS 2
#define LAST_PAUSE_MS 100

void ub_retry_init(struct ub_retry *retry, unsigned timeout_ms)
{
	retry->until_ms = ub_now_ms() + timeout_ms;
	retry->pause_ms = FIRST_PAUSE_MS;
}

int ub_retry_pause(struct ub_retry *retry)
{
	int left = ub_left_ms(retry->until_ms);
	int pause = left < retry->pause_ms ? left : retry->pause_ms;

	if (retry->pause_ms < LAST_PAUSE_MS / 2)
		retry->pause_ms *= 2;
	else
		retry->pause_ms = LAST_PAUSE_MS;
	return pause;
}

bool ub_retry_wait(struct ub_retry *retry)
{
	int pause = ub_retry_pause(retry);
	struct timespec ts = {.tv_nsec = pause * 1000000L};

	if (pause == 0)
		return false;
	/* A signal only makes the next try come early. */
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	return true;
}
