/* SPDX-License-Identifier: MIT */
/*
 * What is said between a process that wants TLS and its helper, ublk-tls, which lives beside it (process/beside.h).
 * Both are of one build; where they are not, as when a package is upgraded under a server that starts, the number of
 * the version in front of the task tells, and nothing is negotiated. First the task, which is answered; then requests,
 * each with descriptors: of a handshake the connection and a socket for the answer, which is the only one.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define UB_TLS_NAME "ublk-tls"

/* Goes up with every change of a struct of this file. */
#define UB_TLS_VERSION 1U

#define UB_TLS_NAME_MAX 256
#define UB_TLS_TEXT_MAX 400

/* Texts that are empty are not asked for. No secret is among them: they are read where the files are. */
struct ub_tls_task {
	uint32_t version;    /* in every version at this place */
	char ca[PATH_MAX];   /* whom to trust; "": whom the system trusts */
	char cert[PATH_MAX]; /* our own; "": none */
	char key[PATH_MAX];  /* its key */
	char psk[PATH_MAX];  /* a file of USER:HEXKEY; certificates are of no use then */
	char user[UB_TLS_NAME_MAX];
	char host[UB_TLS_NAME_MAX]; /* whom the server's certificate has to be of */
	int32_t parent;             /* ends with it */
	bool lock;                  /* memory is to be locked */
};

enum ub_tls_kind {
	UB_TLS_SHAKE, /* a handshake, and the keys into the kernel */
	UB_TLS_MOVE   /* into this mount namespace, out of the caller's */
};

struct ub_tls_request {
	uint32_t kind;
	uint32_t timeout_ms;
};

/* Whoever has no room for the text reads the number alone. It is the same in every version, so that another one's
 * helper can say so. */
struct ub_tls_answer {
	int32_t error; /* 0 or a negative errno */
	char text[UB_TLS_TEXT_MAX];
};
