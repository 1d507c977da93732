/* SPDX-License-Identifier: MIT */
/* What targets in memory do on paths where an I/O's data is in a buffer. */
#include <string.h>

#include "queue/internal.h"

static char *at(struct ub_io *io, uint32_t data)
{
	return (char *)io->data + data;
}

int ub_buffer_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		      uint32_t len)
{
	(void)q;
	memcpy(at(io, data), from, len);
	return 0;
}

int ub_buffer_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	(void)q;
	memcpy(to, at(io, data), len);
	return 0;
}
