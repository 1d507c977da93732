/* SPDX-License-Identifier: MIT */
/*
 * The I/O descriptors of the queues that a thread serves: of each an array that the kernel writes and
 * the server maps, read-only. Owns the mapping. Knows the kernel's layout and nothing of queues or
 * devices' lives.
 *
 * A queue's mapping starts at UBLKSRV_CMD_BUF_OFFSET + q * stride, where stride is room for the deepest
 * possible queue, and is exactly as long as the granted depth needs (ublk_ch_mmap() answers EINVAL
 * to any other length, and EPERM to a writable one).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/uapi.h"

struct ub_desc_map {
	const char *base;
	size_t stride;      /* bytes from one queue's to the next one's */
	uint32_t desc_size; /* bytes from one descriptor to the next */
	uint32_t depth;
	unsigned queues;
};

/* The size of one descriptor on this device: 24 bytes, or what UBLK_F_IO_DESC_SIZE granted. */
uint32_t ub_desc_size(const struct ublksrv_ctrl_dev_info *info);

/* Bytes that a queue's mapping has, and the file offset where it begins. */
size_t ub_desc_map_size(const struct ublksrv_ctrl_dev_info *info);
uint64_t ub_desc_map_offset(const struct ublksrv_ctrl_dev_info *info, unsigned queue);

/*
 * Maps @queues queues from @queue on of the open char device @fd. @info holds what the kernel granted.
 * Return: 0, -EINVAL (no such queues), or mmap's errno.
 */
int ub_desc_map(struct ub_desc_map *map, int fd, const struct ublksrv_ctrl_dev_info *info,
		unsigned queue, unsigned queues, struct ub_error *err);
void ub_desc_unmap(struct ub_desc_map *map);

/*
 * Reads descriptor @tag of the map's queue @queue, once, into @ret_desc: the kernel may write it again
 * as soon as the I/O is committed, and what was checked has to be what is used.
 * Return: false when they are out of range.
 */
static inline bool ub_desc_get(const struct ub_desc_map *map, unsigned queue, unsigned tag,
			       struct ublksrv_io_desc *ret_desc)
{
	const volatile struct ublksrv_io_desc *desc;

	if (__builtin_expect(tag >= map->depth || queue >= map->queues, 0))
		return false;
	desc = (const volatile struct ublksrv_io_desc
			*)(const volatile void *)(map->base + queue * map->stride +
						  (size_t)tag * map->desc_size);
	ret_desc->op_flags = desc->op_flags;
	ret_desc->nr_sectors = desc->nr_sectors;
	ret_desc->start_sector = desc->start_sector;
	ret_desc->addr = desc->addr;
	return true;
}

static inline uint8_t ub_desc_op(const struct ublksrv_io_desc *desc)
{
	return desc->op_flags & 0xff;
}

/* UBLK_IO_F_* as they stand in the whole word. */
static inline uint32_t ub_desc_flags(const struct ublksrv_io_desc *desc)
{
	return desc->op_flags & ~0xffU;
}

/* "read", "write", ... or NULL for an operation that is not known. */
const char *ub_desc_op_name(uint8_t op);
