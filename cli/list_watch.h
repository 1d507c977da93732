/* SPDX-License-Identifier: MIT */
/*
 * `ublk list --watch`: shows the devices again whenever they have changed, until a signal comes or
 * nobody reads any more.
 */
#pragma once

#include "command.h"
#include "selection.h"
#include "table.h"

/*
 * @columns: of the table; as JSON lines each device is one that is new, has changed, or is not
 * selected any more; one that is gone is of another schema
 * Return: the exit status, errors told. A signal kills.
 */
enum ub_exit ub_list_watch(struct ub_call *call, struct ub_ctrl *ctrl,
			   const struct ub_selection *selection, const struct ub_columns *columns);
