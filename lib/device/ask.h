/* SPDX-License-Identifier: MIT */
/*
 * Asking the driver for devices' parameters without being held up by one of them. GET_PARAMS waits
 * for the device's mutex (ublk_ctrl_get_params()), which STOP_DEV and START_DEV hold while they
 * wait for the server: with a server that hangs it never comes back. GET_DEV_INFO takes no lock.
 */
#pragma once

#include <stddef.h>

#include "kernel/uapi.h"

/* Fills @ret_params for each of @infos; types is 0 where there is no answer. */
void ub_ask_params(const struct ublksrv_ctrl_dev_info *infos, size_t count,
		   struct ublk_params *ret_params);
