/* SPDX-License-Identifier: MIT */
/* Numbers that look random; in a program of one thread the same in each run. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Return: a number below @below; each thread has a row of its own. */
static inline uint32_t any(uint32_t below)
{
	static _Thread_local uint32_t state;
	static atomic_uint threads;

	if (!state)
		state = 1 + atomic_fetch_add(&threads, 1) * 7919;
	state = state * 1664525U + 1013904223U;
	return (state >> 8) % below;
}
