/* SPDX-License-Identifier: MIT */
/*
 * Asking the driver about devices without being held up by one of them. GET_PARAMS waits for the
 * device's mutex (ublk_ctrl_get_params()), which STOP_DEV and START_DEV hold while they wait for the
 * server: with a server that hangs it never comes back. GET_DEV_INFO takes no lock; but who merely
 * presses a key waits for no fault of the driver either.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernel/ctrl.h"

/* Fills @ret_params for each of @infos; types is 0 where there is no answer. */
void ub_ask_params(const struct ublksrv_ctrl_dev_info *infos, size_t count,
		   struct ublk_params *ret_params);

struct ub_asked_info {
	enum {
		UB_ASKED_NOTHING, /* the driver can't be asked, or has not answered in time */
		UB_ASKED_TOLD,
		UB_ASKED_REFUSED,
	} answer;
	struct ublksrv_ctrl_dev_info info; /* if it is told */
};

/* Fills @ret_infos for each of @ids. One that hangs is the last one that is asked. */
void ub_ask_infos(const uint32_t *ids, size_t count, struct ub_asked_info *ret_infos);
