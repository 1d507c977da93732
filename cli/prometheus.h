/* SPDX-License-Identifier: MIT */
/*
 * What devices have done, in Prometheus's text format (version 0.0.4): for `ublk stat`. Names and units are
 * after its conventions. Knows neither how it was read nor where it goes.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "stat_fields.h"

/* @stats: totals. What nobody counts of a device has no line. */
void ub_prometheus_print(FILE *file, const struct ub_stat *stats, size_t count);
