/* SPDX-License-Identifier: MIT */
/*
 * The NBD protocol's numbers, and how its messages lie on the wire: big-endian, without gaps
 * (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). What is not used is left out.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define NBD_PORT 10809U

#define NBD_MAGIC 0x4e42444d41474943ULL        /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC 0x49484156454f5054ULL /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x0003e889045565a9ULL
#define NBD_REQUEST_MAGIC 0x25609513U
#define NBD_REPLY_MAGIC 0x67446698U

/* Of the handshake, of the server and of the client. */
#define NBD_FLAG_FIXED_NEWSTYLE 1U
#define NBD_FLAG_NO_ZEROES 2U

enum {
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7
};

#define NBD_REP_ERROR (1U << 31)
enum {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_ERR_UNSUP = NBD_REP_ERROR | 1U,
	NBD_REP_ERR_POLICY = NBD_REP_ERROR | 2U,
	NBD_REP_ERR_INVALID = NBD_REP_ERROR | 3U,
	NBD_REP_ERR_PLATFORM = NBD_REP_ERROR | 4U,
	NBD_REP_ERR_TLS_REQD = NBD_REP_ERROR | 5U,
	NBD_REP_ERR_UNKNOWN = NBD_REP_ERROR | 6U,
	NBD_REP_ERR_SHUTDOWN = NBD_REP_ERROR | 7U,
	NBD_REP_ERR_BLOCK_SIZE_REQD = NBD_REP_ERROR | 8U,
	NBD_REP_ERR_TOO_BIG = NBD_REP_ERROR | 9U
};

enum { NBD_INFO_EXPORT = 0, NBD_INFO_DESCRIPTION = 2, NBD_INFO_BLOCK_SIZE = 3 };

/* Of an export. */
#define NBD_EXPORT_READ_ONLY (1U << 1)
#define NBD_EXPORT_FLUSH (1U << 2)
#define NBD_EXPORT_FUA (1U << 3)
#define NBD_EXPORT_ROTATIONAL (1U << 4)
#define NBD_EXPORT_TRIM (1U << 5)
#define NBD_EXPORT_WRITE_ZEROES (1U << 6)
#define NBD_EXPORT_MULTI_CONN (1U << 8)

enum {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_WRITE_ZEROES = 6
};
#define NBD_CMD_FLAG_FUA 1U
#define NBD_CMD_FLAG_NO_HOLE 2U

/* The longest name of an export, and the longest text that a server may send of one. */
#define NBD_NAME_MAX 4096U

#define NBD_GREETING_SIZE 18U     /* two magics, and flags of 16 bits */
#define NBD_OPTION_SIZE 16U       /* magic, option, length */
#define NBD_OPTION_REPLY_SIZE 20U /* magic, option, type, length */
#define NBD_REQUEST_SIZE 28U
#define NBD_REPLY_SIZE 16U

static inline void nbd_put16(void *to, uint16_t value)
{
	value = htobe16(value);
	memcpy(to, &value, sizeof(value));
}

static inline void nbd_put32(void *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

static inline void nbd_put64(void *to, uint64_t value)
{
	value = htobe64(value);
	memcpy(to, &value, sizeof(value));
}

static inline uint16_t nbd_get16(const void *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static inline uint32_t nbd_get32(const void *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

static inline uint64_t nbd_get64(const void *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

/* What a request's answer is known by. */
static inline uint64_t nbd_cookie(const char *request)
{
	return nbd_get64(request + 8);
}
