/* SPDX-License-Identifier: MIT */
#include "charge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/restart.h"
#include "process/process.h"
#include "process/run.h"
#include "recover.h"

/* After the first attempt, which is made at once; twice as long each time. */
#define DELAY_MS 1000
#define DELAY_MAX_MS 60000
/* In a row: some four minutes. */
#define ATTEMPTS_MAX 10
/* So long a device has to be served until its next attempt is the first again. */
#define CALM_MS 60000
/* What has no event: that whoever has ended the server is through with it. */
#define TAKEN_MS 500
#define SAID_MAX 400
#define OUTPUT_MAX 4096

__attribute__((format(printf, 4, 5))) static void
say(const struct ub_charge *charge, struct ub_log *log, int priority, const char *fmt, ...)
{
	char text[SAID_MAX + 200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)snprintf(log->name, sizeof(log->name), "ublkb%u", charge->id);
	ub_log(log, priority, "%s", text);
}

void ub_charge_drop(struct ub_charge *charge)
{
	ub_close(&charge->pidfd);
	ub_close(&charge->output);
}

/* One that is parked by intent, dead, or still has its old server, gets none. */
static bool needs_server(const struct ub_dev *dev)
{
	return !ub_dev_is_live(dev) && dev->info.state != UBLK_S_DEV_DEAD &&
	       dev->server.answer != UB_SERVED_YES && !dev->record.parked &&
	       (dev->info.flags & UBLK_F_USER_RECOVERY);
}

void ub_charge_see(struct ub_charge *charge, const struct ub_dev *dev)
{
	int64_t now = ub_now_ms();

	if (charge->live_ms && now - charge->live_ms >= CALM_MS)
		charge->attempts = 0;
	charge->is_there = true;
	charge->needs_server = needs_server(dev);
	if (!ub_dev_is_live(dev)) {
		charge->live_ms = 0;
		if (!charge->needs_server && !charge->child)
			charge->restart.state = UB_RESTART_WATCHED;
		return;
	}
	/* Somebody else has brought it back. */
	if (!charge->child && charge->restart.state != UB_RESTART_WATCHED) {
		charge->restart.state = UB_RESTART_WATCHED;
		charge->attempts = 0;
		charge->next_ms = 0;
	}
	if (!charge->live_ms)
		charge->live_ms = now;
}

static int64_t delay_ms(unsigned attempts)
{
	int64_t ms = DELAY_MS;

	for (unsigned i = 1; i < attempts && ms < DELAY_MAX_MS; i++)
		ms *= 2;
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

static void failed(struct ub_charge *charge, const char *why, struct ub_log *log)
{
	int64_t delay = delay_ms(charge->attempts);

	charge->next_ms = ub_now_ms() + delay;
	charge->restart.state =
		charge->attempts < ATTEMPTS_MAX ? UB_RESTART_WAITS : UB_RESTART_GAVE_UP;
	if (charge->restart.state == UB_RESTART_WAITS)
		say(charge, log, LOG_WARNING,
		    "no new server (attempt %u, the next one in %lld s): %s", charge->attempts,
		    (long long)delay / 1000, why);
	else
		say(charge, log, LOG_ERR,
		    "no new server: given up after %u attempts: %s; mend that, then: ublk recover "
		    "%u",
		    charge->attempts, why, charge->id);
}

static void begin(struct ub_charge *charge, const char *program, struct ub_log *log)
{
	char id[16];
	char *const argv[] = {(char *)program, (char *)"recover", id, NULL};
	int ret;

	charge->attempts++;
	(void)snprintf(id, sizeof(id), "%u", charge->id);
	charge->output = memfd_create("ublk-output", MFD_CLOEXEC);
	ret = charge->output < 0 ? -errno
				 : ub_run_start(argv, environ, charge->output, &charge->child);
	if (!ret) {
		charge->pidfd = ub_process_open(charge->child, 0);
		charge->restart.state = UB_RESTART_TRIES;
		return;
	}
	charge->child = 0;
	ub_close(&charge->output);
	failed(charge, strerror(-ret), log);
}

int ub_charge_try(struct ub_charge *charge, const char *program, struct ub_log *log)
{
	if (!charge->needs_server || charge->child || charge->restart.state == UB_RESTART_GAVE_UP)
		return -1;
	if (charge->attempts >= ATTEMPTS_MAX) {
		failed(charge, "its servers die", log);
		return -1;
	}
	if (ub_left_ms(charge->next_ms) > 0) {
		charge->restart.state = UB_RESTART_WAITS;
		return ub_left_ms(charge->next_ms);
	}
	/* Somebody deletes or upgrades it. */
	if (ub_restart_is_held(charge->id))
		return TAKEN_MS;
	begin(charge, program, log);
	return charge->child ? -1 : ub_left_ms(charge->next_ms);
}

static void read_said(const struct ub_charge *charge, char said[static OUTPUT_MAX])
{
	ssize_t len = pread(charge->output, said, OUTPUT_MAX - 1, 0);

	said[len > 0 ? len : 0] = '\0';
}

/* Its error: a line, without what it begins with. Notes may come before. */
static void find_error(const char *said, char error[static SAID_MAX])
{
	static const char mark[] = "ublk: error: ";
	const char *line = strstr(said, mark);

	line = line ? line + sizeof(mark) - 1 : said;
	(void)snprintf(error, SAID_MAX, "%.*s", (int)strcspn(line, "\n"), line);
}

void ub_charge_ended(struct ub_charge *charge, int status, struct ub_log *log)
{
	char said[OUTPUT_MAX], error[SAID_MAX];

	read_said(charge, said);
	charge->child = 0;
	ub_charge_drop(charge);
	if (status) {
		find_error(said, error);
		failed(charge, *error ? error : "ublk recover was killed", log);
		return;
	}
	charge->restart.state = UB_RESTART_WATCHED;
	charge->next_ms = ub_now_ms() + delay_ms(charge->attempts);
	charge->live_ms = 0;
	if (strstr(said, UB_RECOVER_IS_LIVE) || strstr(said, UB_RECOVER_WAS_SLOWER)) {
		charge->attempts = 0;
		charge->next_ms = 0;
		say(charge, log, LOG_NOTICE,
		    "its server was gone, and somebody else has started one");
		return;
	}
	charge->restart.count++;
	say(charge, log, LOG_NOTICE, "its server was gone, and it has a new one (attempt %u)",
	    charge->attempts);
}
