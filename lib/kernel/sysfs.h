/* SPDX-License-Identifier: MIT */
/* Reading one attribute out of sysfs or procfs. Knows no device. */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The first line, without its end, of the file that @fmt names. One that does not fit is cut.
 * Return: its length, or a negative errno; @buf is then empty.
 */
int ub_sysfs_line(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* One number. Return: 0, or a negative errno (-EINVAL: it is none). */
int ub_sysfs_u64(uint64_t *ret_value, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A "major:minor", as in /sys/block/NAME/dev. Return: 0 or a negative errno. */
int ub_sysfs_devt(uint32_t *ret_major, uint32_t *ret_minor, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The NUMA node of a CPU. Return: it, or a negative errno. */
int ub_sysfs_cpu_node(unsigned cpu);

/* That of the first CPU of a set (@size bytes) of which it is known. Return: it, or -1. */
int ub_sysfs_cpus_node(const cpu_set_t *cpus, size_t size);
/* Has the machine more than one NUMA node? */
bool ub_sysfs_has_nodes(void);
/* Can memory be taken from the node? One of processors alone has none. */
bool ub_sysfs_node_has_memory(int node);

/* "259:3", alone. Return: 0 or -EINVAL. */
int ub_parse_devt(const char *text, uint32_t *ret_major, uint32_t *ret_minor);
