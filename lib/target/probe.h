/* SPDX-License-Identifier: MIT */
/*
 * What an open backing can: its blocks, direct I/O, discard. Everything is tried or asked, nothing
 * is assumed. Knows neither what the user wants nor the device that is made of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "target/target.h"

struct ub_probe {
	bool block;                /* a block device, not a file */
	uint32_t logical;          /* its logical block; a file has none: 512 */
	uint32_t physical;         /* a file: the file system's block; a power of two */
	uint32_t io_min, io_opt;   /* powers of two, or 0 */
	uint32_t granularity;      /* of discards, a power of two; 0: they do not work */
	uint32_t direct_alignment; /* of offsets and lengths of direct I/O; 0: there is none */
	uint32_t direct_memory;    /* of addresses */
	bool rotational;
	bool stable_data;   /* that of a direct write must not change until it has ended */
	bool local;         /* what is done to it depends on nobody but this machine's disks */
	bool freezable;     /* the file system that it lies in can be frozen */
	bool write_through; /* what a write to the block device has done is durable */
	bool own_cache;     /* of each description, which others do not sync */
};

/*
 * @fd: open for writing if @b->writable, without O_DIRECT, which it has not at the end either.
 * Writes nothing, but may change a file's time of modification.
 * Return: 0, or a negative errno with a message (a swap file, a zoned device).
 */
int ub_probe_backing(int fd, const struct ub_backing *b, struct ub_probe *ret_probe,
		     struct ub_error *err);

/* Switches direct I/O of an open file on or off. Return: 0 or a negative errno. */
int ub_set_direct(int fd, bool on);
