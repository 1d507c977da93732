/* SPDX-License-Identifier: MIT */
/*
 * What people know a device by, out of its record, where many devices are to be told apart at once.
 * Reading a whole record costs 430,000 instructions, nine tenths of them json-c's; this looks for
 * a few strings in the text, for a twentieth of that. What it finds is only to be shown: nothing is
 * to be decided by it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ub_record_glance {
	char *name;    /* NULL: it has none */
	char *target;  /* its type */
	char *backing; /* path, of several the first one's; NULL: nothing lies behind */
};

/*
 * Looks into the record of device @id with @token, where this user's records are and may be
 * believed. @ret_glance: to be given to ub_record_glance_done().
 * Return: 0, -ENOENT (none, or another device's), or another negative errno.
 */
int ub_record_glance(uint32_t id, uint64_t token, struct ub_record_glance *ret_glance);

/* The same of a record's text: what is no JSON has nothing to find. Return: 0, -ENOENT, -ENOMEM. */
int ub_record_glance_at(const char *text, size_t len, uint64_t token,
			struct ub_record_glance *ret_glance);

void ub_record_glance_done(struct ub_record_glance *glance);
