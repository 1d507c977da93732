/* SPDX-License-Identifier: MIT */
/* Handshakes over a socket, for whoever may wait: with a deadline. */
#pragma once

#include "nbd/address.h"
#include "nbd/handshake.h"

/* Connects and goes into the export. Return: the connected socket, or a negative errno with a message. */
int ub_nbd_open(const struct ub_nbd_address *address, int64_t deadline_ms,
		struct ub_nbd_export *ret_export, struct ub_error *err);

/* The same over a socket that is connected, and stays open. Return: 0, or a negative errno with a message. */
int ub_nbd_ask(int fd, const char *name, int64_t deadline_ms, struct ub_nbd_export *ret_export,
	       struct ub_error *err);
