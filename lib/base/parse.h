/* SPDX-License-Identifier: MIT */
/*
 * Numbers from text and back: the only place that does it. Whole strings only, no sign, no blanks,
 * no wrap-around. Knows nobody.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Decimal, or with 0x hexadecimal. Return: 0, -EINVAL (not a number), -ERANGE (over @max). */
int ub_parse_u64(const char *text, uint64_t max, uint64_t *ret_value);

/*
 * A size in bytes: "4096", "512K", "1.5G", "10GiB"; K, M, G, T, P, E are powers of 1024.
 * Return: 0, -EINVAL, -ERANGE (over INT64_MAX, the largest file), and -EINVAL for a fraction that
 * is no whole number of bytes.
 */
int ub_parse_size(const char *text, uint64_t *ret_bytes);

/* "512K", "1.5G", "10G", "513": the shortest text that is right to one decimal. */
const char *ub_format_size(uint64_t bytes, char *buf, size_t size);

/* Nanoseconds with a unit and three digits, cut: "480ns", "12.3us", "1.50ms", "75s". */
const char *ub_format_time(uint64_t ns, char *buf, size_t size);

/*
 * A list of CPUs, "0-3,8": in the order of the list, each once.
 * @room: elements of @ret_cpus
 * Return: how many there are, at least 1; -EINVAL (no list, or one that names a CPU twice), or
 * -ERANGE (a CPU over @max, or more than @room of them).
 */
int ub_parse_cpus(const char *text, unsigned max, unsigned *ret_cpus, unsigned room);

/* Takes the octal escapes ("\\040") of procfs's tables out of a word, in place. */
void ub_unescape_octal(char *text);
