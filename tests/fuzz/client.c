/* SPDX-License-Identifier: MIT */
/* A client writes to its part of a device, one request after the other, and compares what it reads with what it knows. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 4096U
#define PART (SIZE / CLIENTS / 65536 * 65536)
#define LARGEST (128U << 10)

/* A change, which is tried again if it fails: until then there may be what was there before, too. */
struct change {
	uint32_t offset, len;
	uint32_t id; /* as in struct content */
	bool trims;
};

static bool is_content(uint32_t id, int64_t number, bool zeroes)
{
	return id == 0 || id & 1 ? zeroes : !zeroes && number == id >> 1;
}

static void note(struct slot *slot, const struct change *change, bool acked, bool durable)
{
	for (uint32_t i = change->offset / SECTOR; i < (change->offset + change->len) / SECTOR;
	     i++) {
		struct content *c = &slot->content[i];

		c->tried = change->id;
		if (change->id & 1)
			c->zeroes = change->id;
		if (acked)
			c->acked = change->id;
		if (acked && durable)
			c->safe = change->id;
	}
}

/* A request has failed. */
static void failed_with(struct client *cl, const char *what, int error)
{
	const struct slot *slot = cl->slot;

	atomic_fetch_add(&io_errors, 1);
	if (slot->profile == PROFILE_CRASHES && !slot->holds && !atomic_load(&slot->dies))
		fail(slot, "%s has failed, and the server has told no error: %s", what,
		     strerror(error));
	pause_ms(atomic_load(&slot->dies) ? 20 : 2);
}

static bool change(struct client *cl, const struct change *change, char *buf, bool durable)
{
	uint64_t range[2] = {change->offset, change->len};
	ssize_t n;

	/* As long as it is not known to be done it may be. */
	note(cl->slot, change, false, false);
	if (change->id & 1) {
		n = ioctl(cl->fd, change->trims ? BLKDISCARD : BLKZEROOUT, range) == 0
			    ? (ssize_t)change->len
			    : -1;
		durable = false;
	} else {
		const struct iovec iov = {buf, change->len};

		for (uint32_t at = 0; at < change->len; at += SECTOR)
			make_sector(cl->slot, (change->offset + at) / SECTOR, change->id >> 1,
				    buf + at);
		n = pwritev2(cl->fd, &iov, 1, change->offset, durable ? RWF_DSYNC : 0);
	}
	if (n != (ssize_t)change->len) {
		failed_with(cl, "a change", n < 0 ? errno : 0);
		return false;
	}
	note(cl->slot, change, true, durable);
	return true;
}

/* Has it what was flushed last, or something later? */
static bool is_late_enough(const struct content *c, int64_t number, bool zeroes)
{
	if (zeroes)
		return c->safe == 0 || c->safe & 1 || c->zeroes > c->safe;
	return number >= c->safe >> 1 && number <= c->tried >> 1;
}

/* A change that is written again and fails is lost, and older ones come to light: a flush tells, not a read. */
static bool may_be_read(const struct slot *slot, const struct content *c, int64_t number,
			bool zeroes)
{
	if (is_content(c->acked, number, zeroes) || is_content(c->tried, number, zeroes))
		return true;
	return slot->profile == PROFILE_ERRORS && slot->replays &&
	       is_late_enough(c, number, zeroes);
}

static void compare(struct slot *slot, const char *buf, uint32_t offset, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += SECTOR) {
		uint32_t sector = (offset + at) / SECTOR;
		const struct content *c = &slot->content[sector];
		bool zeroes;
		int64_t number = read_sector(slot, sector, buf + at, &zeroes);
		uint64_t first;

		if (may_be_read(slot, c, number, zeroes))
			continue;
		memcpy(&first, buf + at, sizeof(first));
		fail(slot,
		     "sector %u reads as %s (change %lld, first word %llx), not as change %u%s, "
		     "nor %u%s",
		     sector,
		     zeroes       ? "zeroes"
		     : number < 0 ? "nothing that was written"
				  : "it was",
		     (long long)number, (unsigned long long)first, c->acked >> 1,
		     c->acked & 1 ? " (zeroes)" : "", c->tried >> 1,
		     c->tried & 1 ? " (zeroes)" : "");
		return;
	}
}

static void read_back(struct client *cl, char *buf, uint32_t offset, uint32_t len)
{
	ssize_t n = pread(cl->fd, buf, len, offset);

	if (n == (ssize_t)len)
		compare(cl->slot, buf, offset, len);
	else
		failed_with(cl, "a read", n < 0 ? errno : 0);
}

static void flush(struct client *cl)
{
	uint32_t begin = cl->number * PART / SECTOR;

	if (fdatasync(cl->fd) != 0) {
		failed_with(cl, "a flush", errno);
		return;
	}
	for (uint32_t i = begin; i < begin + PART / SECTOR; i++)
		cl->slot->content[i].safe = cl->slot->content[i].acked;
}

static uint32_t draw_len(struct client *cl)
{
	uint32_t most = one_in(&cl->rnd, 20) ? LARGEST : one_in(&cl->rnd, 4) ? 8 * BLOCK : BLOCK;

	return (1 + below(&cl->rnd, most / BLOCK)) * BLOCK;
}

static struct change draw_change(struct client *cl, uint32_t number)
{
	struct change c = {.len = draw_len(cl), .id = number << 1};

	c.offset = cl->number * PART + below(&cl->rnd, (PART - c.len) / BLOCK + 1) * BLOCK;
	if (one_in(&cl->rnd, 8)) {
		c.id |= 1;
		c.trims = cl->slot->flags & NBD_EXPORT_TRIM && one_in(&cl->rnd, 2);
	}
	return c;
}

void *client(void *arg)
{
	struct client *cl = arg;
	char *buf = aligned_alloc(BLOCK, LARGEST);
	struct change pending = {0};
	uint32_t number = 0, len;

	while (!atomic_load(&cl->slot->stop) && !atomic_load(&failed)) {
		uint32_t what = below(&cl->rnd, 16);

		if (what < 1) {
			flush(cl);
		} else if (what < 7) {
			len = draw_len(cl);
			read_back(cl, buf,
				  cl->number * PART +
					  below(&cl->rnd, (PART - len) / BLOCK + 1) * BLOCK,
				  len);
		} else if (what < 9 && pending.len) {
			read_back(cl, buf, pending.offset, pending.len);
		} else {
			/* A flush that fails for good must not keep it from being written at last. */
			bool durable = !pending.len && one_in(&cl->rnd, 8);

			if (!pending.len)
				pending = draw_change(cl, ++number);
			if (change(cl, &pending, buf, durable))
				pending.len = 0;
		}
		atomic_fetch_add(&cl->slot->done[cl->number], 1);
		atomic_fetch_add(&ios, 1);
	}
	free(buf);
	return NULL;
}

/* Where requests do not wait, until it is there. */
static bool read_at_last(const struct slot *slot, int fd, char *buf, uint32_t offset)
{
	int64_t until = now_ms() + PATIENCE_MS;
	bool whole;

	while (!(whole = pread(fd, buf, LARGEST, offset) == (ssize_t)LARGEST) && slot->holds &&
	       now_ms() < until)
		pause_ms(50);
	return whole;
}

void verify_device(struct slot *slot, int fd)
{
	char *buf = aligned_alloc(BLOCK, LARGEST);

	for (uint32_t offset = 0; offset < SIZE && !atomic_load(&failed); offset += LARGEST) {
		if (read_at_last(slot, fd, buf, offset))
			compare(slot, buf, offset, LARGEST);
		else
			fail(slot, "cannot read at %u, of an honest server: %s", offset,
			     strerror(errno));
	}
	free(buf);
}

void verify_stable(struct slot *slot, bool flushed)
{
	pthread_mutex_lock(&slot->lock);
	for (uint32_t i = 0; i < SECTORS; i++) {
		const struct content *c = &slot->content[i];
		bool zeroes;
		int64_t number = read_sector(slot, i, slot->stable + (size_t)i * SECTOR, &zeroes);

		if (flushed ? is_content(c->acked, number, zeroes) ||
				      is_content(c->tried, number, zeroes)
			    : is_late_enough(c, number, zeroes))
			continue;
		fail(slot,
		     "sector %u is stable as of change %lld%s; acknowledged %u, tried %u, flushed "
		     "%u (all doubled)",
		     i, (long long)number, zeroes ? " (zeroes)" : "", c->acked, c->tried, c->safe);
		break;
	}
	pthread_mutex_unlock(&slot->lock);
}
