/* SPDX-License-Identifier: MIT */
/* A record as JSON text. */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "record/record.h"

#define UB_RECORD_SCHEMA "ublk.record/1"

/*
 * @launch: also the options of one call (foreground, timeout, ...), as a server needs
 * them that is to be started.
 * Return: text to be freed, or NULL without memory.
 */
char *ub_record_to_json(const struct ub_record *record, bool launch);

/* Return: 0, -EBADMSG with a message (not JSON, wrong schema, what is needed is missing or wrong),
 * -ENOMEM. */
int ub_record_from_json(const char *text, size_t len, struct ub_record *ret_record,
			struct ub_error *err);

/* Whose it is, of one of which the rest can't be used. Return: as above. */
int ub_record_token_from_json(const char *text, size_t len, uint32_t *ret_id, uint64_t *ret_token);
