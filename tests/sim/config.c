/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "sim.h"

/* splitmix64, then xoroshiro128+: small, and the same everywhere. */
void random_seed(uint64_t seed)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15U;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
		z = (z ^ z >> 27) * 0x94d049bb133111ebU;
		sim.random[i] = z ^ z >> 31;
	}
}

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

uint64_t random_next(void)
{
	uint64_t a = sim.random[0], b = sim.random[1], result = a + b;

	b ^= a;
	sim.random[0] = rotate(a, 24) ^ b ^ b << 16;
	sim.random[1] = rotate(b, 37);
	return result;
}

/* Often nothing, sometimes a little, sometimes much. */
static unsigned rate(unsigned most)
{
	unsigned kind = below(4);

	return kind < 2 ? 0 : kind == 2 ? between(1, most / 8 + 1) : between(1, most);
}

static void choose_device(struct config *c)
{
	c->path = below(PATHS);
	c->batch = c->path != PATH_GET_DATA && chance(450);
	c->queues = chance(600) ? 1 : between(1, QUEUES_MAX);
	c->depth = chance(200) ? 1 : between(1, DEPTH_MAX);
	c->threads = c->batch || chance(700) ? 1 : between(1, THREADS_MAX);
	if (c->threads > c->depth)
		c->threads = c->depth;
	c->share = c->batch || c->threads > 1 || chance(500) ? 1 : between(1, c->queues);
	c->max_io = 4096U << below(3);
	/* server.c keeps account of so many pages of a thread's. */
	while (c->share * c->depth * c->max_io > PAGES_MAX * 4096)
		c->max_io /= 2;
	c->buffer_cap = c->max_io * between(1, chance(500) ? 1 : c->depth);
	c->sectors = between(32, SECTORS_MAX) & ~7U;
	c->offset = chance(500) ? 0 : OFFSET_MAX;
	c->elevator = chance(500);
	c->recovery = chance(850);
	c->reissue = c->recovery && chance(800);
	c->fail_io = c->recovery && !c->reissue && chance(500);
	c->direct = chance(500);
	c->block = chance(300);
	c->cached = !c->direct && chance(600);
	c->keep = chance(100);
	c->poll_us = chance(100) ? 20 : 0;
	c->pushes = !c->block && chance(100);
	c->brief = !c->pushes && chance(700);
	c->freezable = !c->block && chance(500);
}

void config_make(struct config *c)
{
	memset(c, 0, sizeof(*c));
	choose_device(c);
	c->clients = chance(250) ? 1 : between(1, c->queues * c->depth + 4);
	if (c->clients > REQUESTS_MAX)
		c->clients = REQUESTS_MAX;
	c->requests = chance(300) ? between(1, 8) : between(8, 60);
	c->biggest = chance(500) ? 8 : c->max_io / SECTOR;
	c->kills = chance(500) ? 0 : between(1, 3);
	c->stop_early = chance(100);
	c->short_results = rate(200);
	c->errors = rate(60);
	c->again = rate(100);
	c->partial = rate(200);
	c->interrupted = rate(100);
	c->no_memory = chance(100) ? 5 : 0;
	c->no_register = rate(300);
	c->no_map = rate(200);
	c->no_buffers = rate(300);
	c->refused = chance(150) ? between(1, 200) : 0;
	c->starved = chance(20);
	c->slow = c->starved || chance(100) ? 200 : 0;
	c->no_elements = c->batch ? rate(200) : 0;
	c->shrunk = chance(50);
	c->stuck = chance(30);
	if (c->stuck) {
		c->requests = between(1, 8);
		/* A server that dies at every other hundred of its steps comes to the end of no request
		 * that is tried a hundred times. */
		c->no_memory = 0;
	}
	c->write_back_errors = chance(200) ? between(1, 100) : 0;
	c->timer = rate(80);
	c->linger = chance(500) ? 0 : between(1, 3);
}

void config_print(const struct config *c)
{
	static const char *const paths[] = {"copy", "user-copy", "get-data", "zero-copy"};

	printf("%s%s, %u queues of %u, %u threads each or %u for a thread, %u bytes at once, %u of "
	       "buffers\n",
	       paths[c->path], c->batch ? " in batches" : "", c->queues, c->depth, c->threads,
	       c->share, c->max_io, c->buffer_cap);
	printf("%u sectors from %u on, %u clients, %u requests of up to %u sectors, %s, %s%s%s\n",
	       c->sectors, c->offset, c->clients, c->requests, c->biggest,
	       c->block    ? "block device"
	       : c->pushes ? "file of a server's"
			   : "file",
	       c->direct ? "direct" : "buffered", c->cached ? ", cached" : "",
	       c->elevator ? ", elevator" : "");
	printf("%s, %u kills%s%s, polls for %u us\n",
	       !c->recovery ? "no recovery"
	       : c->reissue ? "reissue"
	       : c->fail_io ? "fail"
			    : "recovery",
	       c->kills, c->stop_early ? ", stopped early" : "", c->keep ? ", keeps buffers" : "",
	       c->poll_us);
	printf("of 1000: short %u, errors %u, again %u, taken in part %u, interrupted %u, no "
	       "memory %u, "
	       "not registered %u, not copied %u, no buffers %u, refused %u, slow %u, no elements "
	       "%u, "
	       "write-back errors %u, timer %u; operations linger %u%s%s%s\n",
	       c->short_results, c->errors, c->again, c->partial, c->interrupted, c->no_memory,
	       c->no_register, c->no_map, c->no_buffers, c->refused, c->slow, c->no_elements,
	       c->write_back_errors, c->timer, c->linger, c->shrunk ? ", shrunk" : "",
	       c->stuck ? ", stuck" : "", c->starved ? ", starved" : "");
}
