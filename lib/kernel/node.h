/* SPDX-License-Identifier: MIT */
/* A device's number and its nodes in /dev. Knows no device. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

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

/*
 * Opens the node at @path, below @dirfd, if it is the one of @type (S_IFBLK, S_IFCHR) for device
 * number @devt. There may be a plain file of that name, that somebody has written to before there
 * was a device: then the kernel can't make its node. Or there is another device's node.
 * Return: a descriptor, -ENOENT, -ENOTBLK (no node at all), -ESTALE (another one), or what open()
 * says.
 */
int ub_node_open(int dirfd, const char *path, mode_t type, dev_t devt, int flags);

/* The same, by a node of our own that nobody else sees. Return: a descriptor or a negative errno
 * (without CAP_SYS_ADMIN and CAP_MKNOD there is none). */
int ub_node_open_private(mode_t type, dev_t devt, int flags);

/* The one at @path, or if that is not it one of our own. */
int ub_node_open_any(const char *path, mode_t type, dev_t devt, int flags);
