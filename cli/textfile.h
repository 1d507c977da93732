/* SPDX-License-Identifier: MIT */
/* The file that Prometheus's node exporter reads (its textfile collector), as a whole or not at all. */
#pragma once

#include "base/error.h"
#include "stat_fields.h"

/* Writes @folder/ublk.prom, for all to read. Return: 0, or a negative errno with a message that has the path;
 * then the file is as it was, and nothing lies beside it. */
int ub_textfile_write(const char *folder, const struct ub_stat *stats, size_t count,
		      struct ub_error *err);
