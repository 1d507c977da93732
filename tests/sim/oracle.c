/* SPDX-License-Identifier: MIT */
/*
 * The oracle. A sector's contents are told by its first and last eight bytes, which name the write that
 * they are of. What may stand in a sector: what the last write that was answered has put there, or one
 * of those that were under way beside it, or one that failed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define VERSIONS_MAX 256U

/* A value that a sector has or may have. */
struct version {
	uint64_t stamp;
	uint32_t serial;
	uint32_t issued, ended; /* of its write */
	uint32_t gone;          /* since then something later is there for sure */
	bool fallen_back;       /* what is there since a write-back has failed */
};

static struct {
	struct version versions[VERSIONS_MAX];
	unsigned n;
} sectors[SECTORS_MAX];

void object(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sim.objection, sizeof(sim.objection), fmt, ap);
	va_end(ap);
	longjmp(sim.out, 1);
}

uint64_t stamp_of(uint32_t serial, unsigned sector)
{
	return (uint64_t)serial << 16 | sector;
}

/* Only words of a sector: the first, and the last, inverted so that pieces do not fit together. */
void stamp_put(char *sector, uint64_t stamp)
{
	uint64_t last = stamp ? ~stamp : 0;

	memcpy(sector, &stamp, sizeof(stamp));
	memcpy(sector + SECTOR - sizeof(last), &last, sizeof(last));
}

void poison(void *memory, size_t len)
{
	for (size_t at = 0; at + SECTOR <= len; at += SECTOR) {
		memset((char *)memory + at, 0xdd, 8);
		memset((char *)memory + at + SECTOR - 8, 0xdd, 8);
	}
}

void oracle_init(void)
{
	for (unsigned i = 0; i < sim.config.sectors; i++) {
		sectors[i].versions[0] = (struct version){.gone = NEVER};
		sectors[i].n = 1;
	}
}

static bool changes(const struct request *req)
{
	return req->op != UBLK_IO_OP_READ && req->op != UBLK_IO_OP_FLUSH;
}

/* Room for one more: those that nobody can ask for any more go. */
static struct version *add_version(unsigned sector)
{
	struct version *v = sectors[sector].versions;
	uint32_t oldest = sim.now;
	unsigned kept = 0;

	if (sectors[sector].n < VERSIONS_MAX)
		return &v[sectors[sector].n++];
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (sim.requests[i].where != AT_NOBODY && sim.requests[i].issued < oldest)
			oldest = sim.requests[i].issued;
	for (unsigned i = 0; i < sectors[sector].n; i++)
		if (v[i].gone > oldest)
			v[kept++] = v[i];
	if (kept == VERSIONS_MAX)
		object("too many versions of sector %u", sector);
	sectors[sector].n = kept + 1;
	return &v[kept];
}

void oracle_issued(struct request *req)
{
	for (unsigned i = 0; changes(req) && i < req->sectors; i++)
		*add_version(req->sector + i) = (struct version){
			.stamp = req->op == UBLK_IO_OP_WRITE
					 ? stamp_of(req->serial, req->sector + i)
					 : 0,
			.serial = req->serial,
			.issued = sim.now,
			.ended = NEVER,
			.gone = NEVER,
		};
}

/* Was @stamp in the sector at @since or later? */
static bool may_be(uint64_t stamp, unsigned sector, uint32_t since, bool durable)
{
	for (unsigned i = 0; i < sectors[sector].n; i++) {
		const struct version *v = &sectors[sector].versions[i];

		if (v->stamp == stamp && v->gone > since &&
		    !(durable && v->fallen_back && !sim.forgotten))
			return true;
	}
	return false;
}

static void check_words(const uint64_t words[2], unsigned sector, uint32_t since, bool durable,
			const char *what, uint32_t serial)
{
	uint64_t last = words[1] ? ~words[1] : 0;

	if (may_be(words[0], sector, since, durable) && may_be(last, sector, since, durable))
		return;
	object("%s %u: sector %u has %llx and %llx", what, serial, sector,
	       (unsigned long long)words[0], (unsigned long long)last);
}

static void check_read(const struct request *req)
{
	for (unsigned i = 0; i < req->sectors; i++) {
		uint64_t words[2];

		memcpy(&words[0], req->data + i * SECTOR, 8);
		memcpy(&words[1], req->data + (i + 1) * SECTOR - 8, 8);
		check_words(words, req->sector + i, req->issued, false, "read", req->serial);
	}
}

static void check_durable(const struct request *req, unsigned sector)
{
	uint64_t words[2];

	backing_durable(sector, words);
	check_words(words, sector, req->issued, true, req->op == UBLK_IO_OP_FLUSH ? "flush" : "FUA",
		    req->serial);
}

/* What was there before the write was issued is there no more. */
static void settle(const struct request *req, unsigned sector, bool replaces)
{
	struct version *v = sectors[sector].versions;

	for (unsigned i = 0; i < sectors[sector].n; i++) {
		if (v[i].serial == req->serial && !v[i].fallen_back)
			v[i].ended = sim.now;
		else if (replaces && v[i].ended < req->issued && v[i].gone == NEVER)
			v[i].gone = sim.now;
	}
}

static bool may_fail(const struct request *req)
{
	bool killed = (sim.deaths || sim.canceling) && !sim.config.reissue;

	/* Not because of something that no write-back has part in. */
	if (req->op == UBLK_IO_OP_FLUSH)
		return sim.losses || killed || sim.stopping;
	return sim.injected || killed || sim.stopping || req->op == UBLK_IO_OP_DISCARD;
}

void oracle_answered(struct request *req)
{
	bool good = req->result == 0;

	if (!good && !may_fail(req))
		object("request %u fails with %d, and nothing has failed", req->serial,
		       req->result);
	for (unsigned i = 0; changes(req) && i < req->sectors; i++)
		settle(req, req->sector + i, good && req->op != UBLK_IO_OP_DISCARD);
	if (!good)
		return;
	if (req->op == UBLK_IO_OP_READ)
		check_read(req);
	for (unsigned i = 0; req->op == UBLK_IO_OP_FLUSH && i < sim.config.sectors; i++)
		check_durable(req, i);
	for (unsigned i = 0; req->fua && i < req->sectors; i++)
		check_durable(req, req->sector + i);
}

static bool is_under_way(uint32_t serial, unsigned sector, bool zero)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		const struct request *req = &sim.requests[i];

		if (req->where == AT_NOBODY || sector < req->sector ||
		    sector >= req->sector + req->sectors)
			continue;
		if (zero ? changes(req) && req->op != UBLK_IO_OP_WRITE : req->serial == serial)
			return true;
	}
	return false;
}

void oracle_written(uint64_t stamp, unsigned sector)
{
	if (stamp && (stamp & 0xffff) != sector)
		object("data of sector %u (%llx) goes to sector %u", (unsigned)(stamp & 0xffff),
		       (unsigned long long)stamp, sector);
	if (!is_under_way((uint32_t)(stamp >> 16), sector, stamp == 0))
		object("sector %u is written with %llx, of no request that is under way", sector,
		       (unsigned long long)stamp);
}

void oracle_lost(unsigned sector)
{
	uint64_t words[2];

	backing_durable(sector, words);
	/* Its two halves may have been written back at different times. */
	words[1] = words[1] ? ~words[1] : 0;
	for (unsigned i = 0; i < (words[0] == words[1] ? 1 : 2); i++)
		*add_version(sector) = (struct version){.stamp = words[i],
							.issued = sim.now,
							.ended = sim.now,
							.gone = NEVER,
							.fallen_back = true};
}

/* The schedule is over: what is there is what was answered. */
void oracle_end(void)
{
	for (unsigned i = 0; i < sim.config.sectors; i++) {
		uint64_t words[2];

		backing_cached(i, words);
		check_words(words, i, sim.now, false, "end", sim.issued);
	}
}

void oracle_touch(const char *memory, size_t len, bool write, const char *why)
{
	if (backing_uses(memory, len, !write))
		object("%s: %zu bytes that an operation is at", why, len);
	if (write)
		server_touch(memory, len, true);
}

/* The memory of buffers that hold nothing, as their owner says. */
void oracle_given_back(const char *memory, size_t len)
{
	trace("%zu bytes of buffers given back", len);
	if (backing_uses(memory, len, false))
		object("memory is given back that an operation is at");
	server_touch(memory, len, false);
	poison((char *)(uintptr_t)memory, len);
}
