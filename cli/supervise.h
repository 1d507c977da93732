/* SPDX-License-Identifier: MIT */
/*
 * Starting servers again: watches the devices that are to be restarted (`--restart`), and recovers those
 * whose server is gone, each by a `ublk recover` of its own, which knows all that is to be minded. One
 * that fails is tried again after a while, longer and longer, and given up in the end.
 */
#pragma once

#include "base/error.h"

/*
 * Watches until no device is to be restarted any more, or a signal comes (SIGINT, SIGTERM, SIGHUP), which
 * leaves recoveries that are under way to themselves. What happens goes to the log (syslog(3)), or to
 * standard error if that is a terminal.
 * Return: 0; -EALREADY: another process does it; or another negative errno; with a message.
 */
int ub_supervise(struct ub_error *err);
