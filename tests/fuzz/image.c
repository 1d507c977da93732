/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

void image_reset(struct slot *slot)
{
	memset(slot->disk, 0, SIZE);
	memset(slot->stable, 0, SIZE);
	memset(slot->first, 0, sizeof(slot->first));
	memset(slot->content, 0, sizeof(slot->content));
	slot->changes = 0;
}

static void settle(struct slot *slot, uint32_t sector)
{
	memcpy(slot->stable + (size_t)sector * SECTOR, slot->disk + (size_t)sector * SECTOR,
	       SECTOR);
	slot->first[sector] = 0;
}

void image_change(struct slot *slot, uint64_t offset, const char *data, uint32_t len, bool durable)
{
	if (data)
		memcpy(slot->disk + offset, data, len);
	else
		memset(slot->disk + offset, 0, len);
	slot->changes++;
	for (uint64_t i = offset / SECTOR; i < (offset + len) / SECTOR; i++) {
		if (!slot->first[i])
			slot->first[i] = slot->changes;
		if (durable)
			settle(slot, (uint32_t)i);
	}
}

void image_flush(struct slot *slot, uint64_t before)
{
	for (uint32_t i = 0; i < SECTORS; i++)
		if (slot->first[i] && slot->first[i] <= before)
			settle(slot, i);
}

void image_crash(struct slot *slot, struct rnd *rnd)
{
	uint32_t odds = 1 + below(rnd, 3);

	for (uint32_t i = 0; i < SECTORS; i++) {
		if (!slot->first[i])
			continue;
		if (one_in(rnd, odds))
			memcpy(slot->disk + (size_t)i * SECTOR, slot->stable + (size_t)i * SECTOR,
			       SECTOR);
		settle(slot, i);
	}
}

void make_sector(const struct slot *slot, uint32_t sector, uint32_t number, char *to)
{
	uint64_t words[SECTOR / 8];
	uint64_t word = (uint64_t)slot->number << 56 | (uint64_t)sector << 32 | number;

	for (size_t i = 0; i < SECTOR / 8; i++) {
		words[i] = word;
		word = (word ^ word >> 29) * 0x9e3779b97f4a7c15ULL + i;
	}
	memcpy(to, words, SECTOR);
}

int64_t read_sector(const struct slot *slot, uint32_t sector, const char *from, bool *ret_zeroes)
{
	char expected[SECTOR] = {0};
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	*ret_zeroes = memcmp(from, expected, SECTOR) == 0;
	if (*ret_zeroes)
		return 0;
	make_sector(slot, sector, (uint32_t)word, expected);
	return memcmp(from, expected, SECTOR) == 0 ? (int64_t)(uint32_t)word : -1;
}
