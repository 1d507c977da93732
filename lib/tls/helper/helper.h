/* SPDX-License-Identifier: MIT */
/*
 * The program ublk-tls: it keeps the credentials, and forks for each handshake, so that one that is slow holds up no
 * other, and one that a server's bytes might crash or take over has no rights and ends. main.c listens,
 * credentials.c reads files, session.c shakes hands, kernel.c hands the keys over, confine.c gives rights away.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "tls/message.h"

struct credentials {
	gnutls_priority_t priority;
	gnutls_certificate_credentials_t x509; /* one of these two; the other is NULL */
	gnutls_psk_client_credentials_t psk;
	const char *host;
	bool locks; /* no process that has them is to be swapped out */
};

/* A handshake that is under way. */
struct attempt {
	int fd;    /* the connection */
	int reply; /* its other end is closed when nobody waits any more */
	int64_t deadline_ms;
	int error; /* of the connection itself: negative errno, or 0 */
};

/* Says why. Return: @code. */
int helper_fail(struct ub_tls_answer *answer, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads what @task names. Return: 0, or a negative errno with a text. */
int helper_load(const struct ub_tls_task *task, struct credentials *ret_credentials,
		struct ub_tls_answer *answer);

/* The handshake, then the keys. Return: 0, or a negative errno with a text. */
int helper_shake(const struct credentials *credentials, struct attempt *attempt,
		 struct ub_tls_answer *answer);

/* Has the kernel prepare a connection for keys, which it may have to load a module for: needs rights. */
int helper_prepare(int fd, struct ub_tls_answer *answer);

/* Hands the keys of a session over: from now on the kernel encrypts. */
int helper_hand_over(gnutls_session_t session, int fd, struct ub_tls_answer *answer);

/* Goes into the mount namespace that @fd is of, if that is allowed. */
void helper_move(int fd);

/* Gives away every right that there is, as far as that goes. */
void helper_confine(void);
