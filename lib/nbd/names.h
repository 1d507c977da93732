/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts, which lead to addresses: as the machine's C library finds them, whose program getent is run for that
 * (it loads what is configured, which a static program can't). For a server of a device, which lives where there are
 * neither programs nor /etc, and may not wait, a process beside it runs that.
 *
 * That process keeps nothing of the caller's mounts. It looks names up where process 1 lives; so it does only what the
 * caller would see there as well: the same getent, nsswitch.conf, hosts and resolv.conf, by their inodes. The network
 * is the server's own. Where nobody may change his mounts (an ordinary user), it stays where the server stays.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/patience.h"

#define UB_NBD_GETENT "/usr/bin/getent"
/* After that a look-up has come to nothing. */
#define UB_NBD_LOOK_UP_S 5
/* The server program's first argument for that: ub_nbd_names_main(). */
#define UB_NBD_LOOK_UP "look-up"

struct ub_nbd_names;

/* There is no such process any more. */
#define UB_NBD_NAMES_GONE ENOTRECOVERABLE

/* Starts such a process. Return: 0 with @ret_names, to be ended by ub_nbd_names_end(); -EXDEV: process 1 would see other
 * names; or another negative errno. */
int ub_nbd_names_start(const char *host, const struct ub_patience *patience,
		       struct ub_nbd_names **ret_names);
/* Takes NULL. */
void ub_nbd_names_end(struct ub_nbd_names *names);

/* Begins a look-up, without waiting: what getent says comes on the socket that is returned, and then its end. To be
 * closed. Return: it, or a negative errno; -UB_NBD_NAMES_GONE. */
int ub_nbd_names_ask(const struct ub_nbd_names *names);

/* ublk-server look-up HOST PARENT */
int ub_nbd_names_main(const char *host, const char *parent);

/* What @text is, "192.0.2.1" or "2001:db8::1". Return: its size in @ret_addr, or 0: it is no address. */
socklen_t ub_nbd_read_address(const char *text, uint16_t port, struct sockaddr_storage *ret_addr);

/* Takes the next address for TCP off whole lines of getent's, "ADDRESS STREAM NAME" and others. Return: as above; 0: there
 * is none any more. */
socklen_t ub_nbd_take_address(char **text, uint16_t port, struct sockaddr_storage *ret_addr);
