/* SPDX-License-Identifier: MIT */
/*
 * `ublk doctor`: checks of the machine, each a function, and what they find. A check that finds what
 * would fail `ublk add` hands over the error that it would fail with, so that the words, the hint and
 * the exit status are the same. Checks print nothing, and change nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "budget/limits.h"
#include "hints.h"
#include "kernel/ctrl.h"
#include "status.h"

enum ub_finding_status {
	UB_FINDING_GOOD,
	UB_FINDING_NOTE, /* does not hinder `ublk add` */
	UB_FINDING_BAD,  /* it would fail */
};

struct ub_finding {
	const char *check;
	int status;
	char text[sizeof(((struct ub_error *)NULL)->msg)];
	char mend[UB_HINT_SIZE]; /* what to type; "": nothing */
	const char *source;      /* of a claim about this kernel; NULL */
};

struct ub_doctor {
	const char *check; /* that runs */
	struct ub_finding *findings;
	size_t count;
	bool failed; /* without memory */
	/* That of the first step at which `ublk add` would fail: the checks stand in its order. */
	enum ub_exit verdict;
	/* What later checks need to know. */
	bool loads_driver; /* it is not there, and `ublk add` brings it */
	bool has_node, has_ring;
	struct ub_ctrl *ctrl; /* NULL: the driver can't be asked */
	bool is_planned;
	struct ub_limit limits[UB_LIMIT_COUNT]; /* of what a device would need, if it is planned */
};

struct ub_check {
	const char *name; /* one word */
	void (*run)(struct ub_doctor *doctor);
};

void ub_doctor_good(struct ub_doctor *doctor, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* @mend: what to type, or NULL. */
void ub_doctor_note(struct ub_doctor *doctor, const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* `ublk add` would fail with this error: what to type is what it would tell. */
void ub_doctor_bad(struct ub_doctor *doctor, const struct ub_error *err);

/* doctor_kernel.c */
void ub_check_kernel(struct ub_doctor *doctor);
void ub_check_module(struct ub_doctor *doctor);
void ub_check_node(struct ub_doctor *doctor);
void ub_check_io_uring(struct ub_doctor *doctor);
void ub_check_driver(struct ub_doctor *doctor);

/* doctor_limits.c */
void ub_check_limits(struct ub_doctor *doctor);
void ub_check_huge_pages(struct ub_doctor *doctor);
void ub_check_cgroup(struct ub_doctor *doctor);

/* doctor_place.c */
void ub_check_program(struct ub_doctor *doctor);
void ub_check_udev(struct ub_doctor *doctor);
void ub_check_privileges(struct ub_doctor *doctor);
void ub_check_namespaces(struct ub_doctor *doctor);
void ub_check_systemd(struct ub_doctor *doctor);

/* doctor_records.c */
void ub_check_records(struct ub_doctor *doctor);
void ub_check_leftovers(struct ub_doctor *doctor);
