/* SPDX-License-Identifier: MIT */
/*
 * What lies in the folders of the records, of whatever device: for whoever looks for what was left
 * over. Believes nothing of it, and changes nothing.
 */
#pragma once

#include <stdint.h>

struct ub_survey {
	/* A file N.json of that number. @path: of it. */
	void (*record)(void *arg, uint32_t id, const char *path);
	/* A server's socket N.sock. */
	void (*socket)(void *arg, uint32_t id, const char *path);
	/* What a server has counted, N.stats. */
	void (*stats)(void *arg, uint32_t id, const char *path);
	/* An entry of the index for a device that has no record. */
	void (*entry)(void *arg, uint32_t id, const char *path);
	void *arg;
};

/* Return: 0, also where there is no folder, or a negative errno: one could not be read. */
int ub_record_survey(const struct ub_survey *survey);
