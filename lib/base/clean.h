/* SPDX-License-Identifier: MIT */
/* Scope-bound clean-up. Every destructor takes NULL, -1 and half-built objects. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void ub_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline void ub_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void ub_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
	*f = NULL;
}

#define _cleanup_close_ _cleanup_(ub_close)
#define _cleanup_free_ _cleanup_(ub_freep)
#define _cleanup_fclose_ _cleanup_(ub_fclosep)

#define UB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Hands a value on and leaves nothing behind for the clean-up. */
#define UB_TAKE_FD(fd)          \
	({                      \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})
#define UB_TAKE_PTR(p)                  \
	({                              \
		__typeof__(p) _p = (p); \
		(p) = NULL;             \
		_p;                     \
	})
