/* SPDX-License-Identifier: MIT */
/* A device's number and its nodes in /dev. Knows no device. */
#pragma once

#include <stdint.h>

/* The largest number that a device may have: minors have 20 bits. */
#define UB_DEV_ID_MAX ((1U << 20) - 1)

/*
 * A device's id out of "3", "ublkb3", "ublkc3", "/dev/ublkb3" or "/dev/ublkc3"; "ublkb3p1" is refused.
 * Return: 0, or -EINVAL when the text has none of these forms (it may be a name).
 */
int ub_parse_dev_id(const char *text, uint32_t *ret_id);

/* /dev/ublkbN or /dev/ublkcN. */
const char *ub_dev_block_path(uint32_t id, char buf[static 32]);
const char *ub_dev_char_path(uint32_t id, char buf[static 32]);
