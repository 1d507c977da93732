/* SPDX-License-Identifier: MIT */
/* Which devices `ublk list` shows, and in which order. */
#pragma once

#include "device/device.h"
#include "sort.h"

struct ub_selection {
	uint32_t states; /* bits of ub_state_names; 0: all */
	const struct ub_target *target;
	bool managed;
	bool measured; /* what their servers have in memory has to be known */
	struct ub_sort sort;
};

/* The words for a device's state, NULL-terminated. */
extern const char *const ub_state_names[];

struct ub_selected {
	struct ub_dev *list; /* all devices, those that are selected first */
	size_t count;        /* that are selected */
	size_t total;
};

/* Looks at all devices. Return: 0, or a negative errno with a message. */
int ub_selection_read(const struct ub_selection *selection, struct ub_ctrl *ctrl,
		      struct ub_selected *ret_selected, struct ub_error *err);
void ub_selected_done(struct ub_selected *selected);
