/* SPDX-License-Identifier: MIT */
/*
 * ublk quiesce: the server lets go of its device, which waits for another one. The driver brings no more
 * requests (QUIESCE_DEV, Linux 6.16), gives back the tags that are idle, and has nothing more to say of a tag
 * whose request was under way: so it is the block layer that tells when all of them have ended, and then the
 * threads are told to go. With the last close of the char device the device is quiesced.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "server/server.h"

/* How often threads are told. */
#define TELL_MS 2
/* How soon an errand that was killed is run again: there is no way back. */
#define RETRY_MS 500

static bool is_refusal(int code)
{
	return code == -EOPNOTSUPP || code == -ENODEV || code == -EINVAL || code == -EPERM ||
	       code == -EACCES;
}

static void wait_for(struct server *s, int ms)
{
	int64_t until = ub_now_ms() + ms;

	while (ub_left_ms(until) > 0 && !s->queues_ended)
		server_wait(s, ub_left_ms(until));
}

void server_park(struct server *s)
{
	int ret;

	while ((ret = server_errand(s, ERRAND_PARK, -1)) != 0) {
		ub_log(&s->log, LOG_ERR, "cannot park the device: %s", strerror(-ret));
		if (is_refusal(ret)) {
			s->park = false;
			s->record.parked = false;
			(void)server_write_record(s, NULL);
			return;
		}
		wait_for(s, RETRY_MS);
	}
	while (!s->queues_ended) {
		for (unsigned i = 0; i < s->nr_queues; i++)
			ub_queue_leave(s->queues[i]);
		wait_for(s, TELL_MS);
	}
}
