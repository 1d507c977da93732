/* SPDX-License-Identifier: MIT */
/*
 * The file or disk below: a page cache and what is durable, and operations that take their time, have
 * their effect at one moment between, and may do less or fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "sim.h"

#define FD_FIRST 100000000 /* nobody has them */

static struct {
	uint64_t cache[SECTORS_MAX + OFFSET_MAX][2], durable[SECTORS_MAX + OFFSET_MAX][2];
	bool dirty[SECTORS_MAX + OFFSET_MAX];
	unsigned failures;               /* of write-backs */
	bool told;                       /* the last of them, to anybody */
	unsigned seen[DESCRIPTIONS_MAX]; /* failures that each open description knows of */
	unsigned opened;
	bool no_punch, no_zero_range, no_discard;
} file;

void backing_init(void)
{
	memset(&file, 0, sizeof(file));
	file.no_punch = chance(300);
	file.no_zero_range = chance(300);
	file.no_discard = chance(300);
}

/* errseq_sample(): what nobody was told of yet is told to whoever opens the file now. */
int backing_open(void)
{
	unsigned n = file.opened++ % DESCRIPTIONS_MAX;

	file.seen[n] = file.failures - (file.failures && !file.told);
	return FD_FIRST + (int)n;
}

/* Has somebody been told of a write-back that failed? */
bool backing_has_told(void)
{
	return file.failures && file.told;
}

void backing_durable(unsigned sector, uint64_t ret_words[2])
{
	memcpy(ret_words, file.durable[sector + sim.config.offset], 16);
}

void backing_cached(unsigned sector, uint64_t ret_words[2])
{
	memcpy(ret_words, file.cache[sector + sim.config.offset], 16);
}

/* One sector; the page is clean then, whether it has worked or not. */
static void write_back(unsigned sector)
{
	if (!file.dirty[sector])
		return;
	file.dirty[sector] = false;
	if (!chance(sim.config.write_back_errors)) {
		memcpy(file.durable[sector], file.cache[sector], 16);
		return;
	}
	sim.injected++;
	sim.losses++;
	file.failures++;
	file.told = false;
	trace("sector %u cannot be written back", sector - sim.config.offset);
	if (sector >= sim.config.offset)
		oracle_lost(sector - sim.config.offset);
}

void backing_write_back(void)
{
	unsigned from = below(sim.config.sectors + sim.config.offset);

	for (unsigned i = from; i < sim.config.sectors + sim.config.offset; i++)
		write_back(i);
}

static bool is_read(const struct op *op)
{
	return op->sqe.opcode == IORING_OP_READ || op->sqe.opcode == IORING_OP_READ_FIXED;
}

static bool is_write(const struct op *op)
{
	return op->sqe.opcode == IORING_OP_WRITE || op->sqe.opcode == IORING_OP_WRITE_FIXED;
}

/* Only to see whether writes are kept waiting. */
static bool is_probe(const struct op *op)
{
	return op->sqe.opcode == IORING_OP_WRITE && op->sqe.len == 0 && sim.config.freezable;
}

static bool is_fixed(const struct op *op)
{
	return op->sqe.opcode == IORING_OP_READ_FIXED || op->sqe.opcode == IORING_OP_WRITE_FIXED;
}

bool backing_uses(const char *memory, size_t len, bool only_writers)
{
	for (const struct op *op = sim.operations; op; op = op->next) {
		const char *at = (const char *)(uintptr_t)op->sqe.addr;

		if ((is_read(op) || (is_write(op) && !only_writers)) && !is_fixed(op) &&
		    at < memory + len && memory < at + op->sqe.len)
			return true;
	}
	return false;
}

bool backing_is_idle(const struct server *s)
{
	for (const struct op *op = sim.operations; op; op = op->next)
		if (op->ring->server == s)
			return false;
	return true;
}

/* Where the operation's data is. */
static char *data_of(const struct op *op)
{
	if (!is_fixed(op))
		return (char *)(uintptr_t)op->sqe.addr;
	if (op->sqe.addr + op->sqe.len > op->node->request->sectors * SECTOR)
		object("%u bytes at %llu of request %u", op->sqe.len,
		       (unsigned long long)op->sqe.addr, op->node->request->serial);
	return op->node->request->data + op->sqe.addr;
}

/* Moves the words that the first @len bytes touch as a whole; a word is moved or not. */
static void move(const struct op *op, uint32_t len)
{
	char *data = data_of(op);
	uint64_t start = op->sqe.off, end = start + len;

	for (uint64_t sector = start / SECTOR; sector * SECTOR < end; sector++) {
		for (unsigned word = 0; word < 2; word++) {
			uint64_t at = sector * SECTOR + (word ? SECTOR - 8 : 0), value;

			if (at < start || at + 8 > end)
				continue;
			if (is_read(op)) {
				memcpy(data + (at - start), &file.cache[sector][word], 8);
				continue;
			}
			memcpy(&value, data + (at - start), 8);
			oracle_written(word && value ? ~value : value,
				       (unsigned)sector - sim.config.offset);
			file.cache[sector][word] = value;
			file.dirty[sector] = true;
		}
	}
}

static void zero(uint64_t start, uint64_t len)
{
	for (uint64_t sector = start / SECTOR; sector * SECTOR < start + len; sector++) {
		oracle_written(0, (unsigned)sector - sim.config.offset);
		memset(file.cache[sector], 0, 16);
		file.dirty[sector] = true;
	}
}

/* file_check_and_advance_wb_err() */
static int check_failures(const struct op *op)
{
	unsigned n = (unsigned)(op->ring->files[op->sqe.fd] - FD_FIRST);

	if (file.seen[n] == file.failures)
		return 0;
	file.seen[n] = file.failures;
	file.told = true;
	sim.forgotten |= op->ring->gone;
	return -EIO;
}

static uint64_t end_of_file(void)
{
	return (uint64_t)(sim.config.sectors + sim.config.offset) * SECTOR;
}

static int sync_range(const struct op *op, uint64_t start, uint64_t len)
{
	for (uint64_t i = start / SECTOR; i * SECTOR < start + len; i++)
		write_back((unsigned)i);
	return check_failures(op);
}

static int read_or_write(struct op *op)
{
	uint32_t len = op->fate > 0 ? (uint32_t)op->fate : op->sqe.len;
	int ret;

	/* Only now a worker has come to it. */
	if (is_fixed(op) && !op->node)
		op->node = node_get(op->ring, op->sqe.buf_index);
	if (is_fixed(op) && !op->node)
		return -EFAULT;
	move(op, len);
	if (is_write(op) && op->sqe.rw_flags & RWF_DSYNC) {
		ret = sync_range(op, op->sqe.off, len);
		if (ret)
			return ret;
	}
	return (int)len;
}

static int fallocate_range(const struct op *op)
{
	bool punch = op->sqe.len & FALLOC_FL_PUNCH_HOLE;

	if (punch ? file.no_punch : file.no_zero_range)
		return -EOPNOTSUPP;
	if (sim.config.block && (op->sqe.off | op->sqe.addr) % 4096)
		return -EINVAL;
	zero(op->sqe.off, op->sqe.addr);
	return 0;
}

static int perform(struct op *op)
{
	if (op->fate < 0)
		return op->fate;
	switch (op->sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		return read_or_write(op);
	case IORING_OP_FSYNC:
		/* Of a range, or of all. */
		return sync_range(op, op->sqe.off,
				  op->sqe.len ? op->sqe.len : end_of_file() - op->sqe.off);
	case IORING_OP_FALLOCATE:
		return fallocate_range(op);
	case IORING_OP_URING_CMD:
		if (file.no_discard)
			return -EOPNOTSUPP;
		zero(op->sqe.addr, op->sqe.addr3);
		return 0;
	}
	object("operation %u on the backing", op->sqe.opcode);
}

static void choose_fate(struct op *op)
{
	static const int errors[] = {-EIO, -ENOMEM, -ENOSPC, -EINVAL, -EDQUOT, -ECANCELED, -EPERM};
	const struct config *c = &sim.config;
	uint32_t unit = c->direct ? SECTOR : SECTOR / 2;

	if (c->stuck && (is_read(op) || is_write(op)) && op->sqe.off < (c->offset + 8) * SECTOR) {
		op->fate = chance(500) ? -EAGAIN : -EINTR;
		sim.injected++;
	} else if (chance(c->again)) {
		op->fate = chance(500) ? -EAGAIN : -EINTR;
	} else if (chance(c->errors)) {
		op->fate = errors[below(7)];
		sim.injected++;
		/* As far as its server can know. */
		sim.losses += op->sqe.opcode == IORING_OP_FSYNC ||
			      (is_write(op) && op->sqe.rw_flags & RWF_DSYNC && op->fate == -EIO);
	} else if ((is_read(op) || is_write(op)) && op->sqe.len > unit &&
		   chance(c->short_results)) {
		op->fate = (int)(between(1, op->sqe.len / unit - 1) * unit);
	}
}

static void check_place(const struct op *op)
{
	uint64_t end = end_of_file();

	if ((is_read(op) || is_write(op)) &&
	    (op->sqe.off < sim.config.offset * SECTOR || op->sqe.off + op->sqe.len > end ||
	     op->sqe.len == 0) &&
	    !is_probe(op))
		object("%u bytes at %llu of the backing", op->sqe.len,
		       (unsigned long long)op->sqe.off);
	if ((is_read(op) || is_write(op)) && !is_fixed(op))
		oracle_touch((const char *)(uintptr_t)op->sqe.addr, op->sqe.len, is_read(op),
			     "an operation");
}

void backing_issue(struct op *op)
{
	bool moves = is_read(op) || is_write(op);

	check_place(op);
	if (is_fixed(op) && !op->late) {
		op->node = node_get(op->ring, op->sqe.buf_index);
		if (!op->node)
			object("an operation on slot %u, which is empty", op->sqe.buf_index);
	}
	choose_fate(op);
	if (moves && !op->late && sim.config.cached && chance(700)) {
		op_complete(op, perform(op), 0);
		return;
	}
	op->next = sim.operations;
	sim.operations = op;
	sim.nr_operations++;
}

/* What a change of a range waits for (inode_dio_wait()), and needs its thread to end. */
static bool has_direct_write(const struct ring *r)
{
	for (const struct op *op = sim.operations; op; op = op->next)
		if (op->ring == r && is_write(op) && op->sqe.len && sim.config.direct)
			return true;
	return false;
}

int backing_call(int fd, const struct io_uring_sqe *sqe)
{
	struct ring *r = sim.current->ring;
	struct op op = {.ring = r, .sqe = *sqe};
	int ret;

	for (op.sqe.fd = 0; r->files[op.sqe.fd] != fd; op.sqe.fd++)
		if ((unsigned)op.sqe.fd + 1 >= r->nr_files)
			object("a call on descriptor %d", fd);
	if (!sim.config.brief)
		object("a thread calls what may never end");
	if (sqe->opcode != IORING_OP_FSYNC && has_direct_write(r))
		object("a thread waits for a write that waits for it");
	pause_here(true);
	choose_fate(&op);
	ret = perform(&op);
	trace("call %u at %llu: %d", op.sqe.opcode, (unsigned long long)op.sqe.off, ret);
	pause_here(true);
	return ret;
}

/* One of those that are under way, whichever: has its effect, or ends. */
void backing_progress(void)
{
	struct op **at = &sim.operations, *op;

	for (unsigned n = below(sim.nr_operations); n; n--)
		at = &(*at)->next;
	op = *at;
	if (!op->done) {
		op->done = true;
		/* What nobody had begun with is cancelled with its server. */
		op->res = op->ring->gone && chance(300) ? -ECANCELED : perform(op);
		trace("operation %u at %llu: %d", op->sqe.opcode, (unsigned long long)op->sqe.off,
		      op->res);
		if (chance(500))
			return;
	}
	*at = op->next;
	op->next = NULL;
	sim.nr_operations--;
	op_complete(op, op->res, 0);
}
