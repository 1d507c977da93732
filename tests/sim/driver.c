/* SPDX-License-Identifier: MIT */
/*
 * ublk_drv of Linux 7.3: tags, single commands, the data of requests. What it would refuse of a server
 * is an objection here, since nothing of ours may send it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/desc.h"
#include "sim.h"

#define STRIDE 98304U /* UBLK_MAX_QUEUE_DEPTH descriptors */

static int char_fd = -1;
static char *descriptors; /* as the driver sees them */

int driver_char_fd(void)
{
	return char_fd;
}

/* Mapped by servers as the real ones are: read-only. */
void driver_open_char(void)
{
	if (char_fd >= 0)
		return;
	char_fd = memfd_create("ublkc", MFD_CLOEXEC);
	if (char_fd < 0 || ftruncate(char_fd, (off_t)QUEUES_MAX * STRIDE) != 0)
		object("no memory for descriptors");
	descriptors = mmap(NULL, (size_t)QUEUES_MAX * STRIDE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   char_fd, 0);
	if (descriptors == MAP_FAILED)
		object("no memory for descriptors");
}

static bool copies(void)
{
	return sim.config.path == PATH_COPY || sim.config.path == PATH_GET_DATA;
}

static bool has_data(const struct request *req)
{
	return req->op == UBLK_IO_OP_READ || req->op == UBLK_IO_OP_WRITE;
}

bool driver_queue_is_ready(unsigned queue)
{
	return sim.queues[queue].ready == sim.config.depth;
}

bool driver_is_ready(void)
{
	for (unsigned i = 0; i < sim.config.queues; i++)
		if (!driver_queue_is_ready(i))
			return false;
	return true;
}

static struct ublksrv_io_desc *descriptor(const struct request *req)
{
	return (struct ublksrv_io_desc *)(void *)(descriptors + (size_t)req->queue * STRIDE) +
	       req->tag;
}

/* ublk_setup_iod() */
void driver_describe(struct request *req, struct io *io)
{
	uint32_t flags = (req->fua ? UBLK_IO_F_FUA : 0) | (req->no_unmap ? UBLK_IO_F_NOUNMAP : 0);

	*descriptor(req) = (struct ublksrv_io_desc){
		.op_flags = req->op | flags,
		.nr_sectors = req->sectors,
		.start_sector = req->op == UBLK_IO_OP_FLUSH ? UINT64_MAX : req->sector,
		.addr = io->address,
	};
}

static uint32_t bytes_of(const struct request *req)
{
	return req->sectors * SECTOR;
}

/* Moves whole sectors, as far as their contents are looked at. */
static void move(char *to, const char *from, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += SECTOR) {
		memcpy(to + at, from + at, 8);
		memcpy(to + at + SECTOR - 8, from + at + SECTOR - 8, 8);
	}
}

/* ublk_start_io(): a write's data goes to the server. Return: false: it is sent once more. */
bool driver_start_io(struct hw_queue *hq, struct request *req, struct io *io)
{
	uint32_t len = bytes_of(req);

	(void)hq;
	if (!copies() || req->op != UBLK_IO_OP_WRITE)
		return true;
	/* A device that is being stopped would wait for ever for what is sent once more. */
	if (!sim.stopping && chance(sim.config.no_map)) {
		/* Part of it is told only where the server can see it; else this is the driver's loss. */
		if (sim.config.path != PATH_GET_DATA || req->sectors < 9 || chance(500)) {
			trace("  request %u: nothing copied", req->serial);
			block_requeue(req, false);
			return false;
		}
		sim.injected++;
		len = 8 * SECTOR;
		descriptor(req)->nr_sectors = 8;
		trace("  request %u: copied in part", req->serial);
	}
	oracle_touch((void *)(uintptr_t)io->address, len, true, "the driver copies a write's data");
	move((char *)(uintptr_t)io->address, req->data, len);
	return true;
}

/* __ublk_prep_compl_io_cmd() */
static struct op *give_to_server(struct request *req, struct io *io)
{
	struct op *op = io->command;

	io->owned = true;
	io->active = false;
	io->request = req;
	io->command = NULL;
	req->where = AT_SERVER;
	return op;
}

static bool register_pages(struct request *req, struct io *io, struct ring *r)
{
	int ret = -ENOMEM;

	if (!chance(sim.config.no_register))
		ret = slot_register(r, io->reg.index, req);
	if (ret == -EBUSY)
		object("slot %u of tag %d is in use", io->reg.index, req->tag);
	if (ret)
		descriptor(req)->op_flags |= UBLK_IO_F_NEED_REG_BUF;
	io->registered = ret == 0;
	return ret == 0;
}

void driver_abort_one(struct request *req)
{
	trace("  request %u: no server", req->serial);
	if (driver_keeps_requests())
		block_requeue(req, false);
	else
		block_end(req, -EIO);
}

/* ublk_dispatch_req() */
void driver_dispatch(struct ring *r, struct request *req, bool exiting)
{
	struct io *io = &sim.queues[req->queue].ios[req->tag];

	driver_describe(req, io);
	if (exiting) {
		driver_abort_one(req);
		return;
	}
	if (sim.config.path == PATH_GET_DATA && req->op == UBLK_IO_OP_WRITE) {
		trace("  request %u: tag %d, wants its data asked for", req->serial, req->tag);
		io->need_get = true;
		op_complete(give_to_server(req, io), UBLK_IO_RES_NEED_GET_DATA, 0);
		return;
	}
	if (!driver_start_io(&sim.queues[req->queue], req, io))
		return;
	trace("  request %u: tag %d goes to the server", req->serial, req->tag);
	if (sim.config.path == PATH_ZERO_COPY && has_data(req))
		(void)register_pages(req, io, r);
	op_complete(give_to_server(req, io), UBLK_IO_RES_OK, 0);
}

/* For batches, which say the slot with each commit, too. */
bool driver_register(struct request *req, struct io *io, struct ring *r)
{
	return sim.config.path == PATH_ZERO_COPY && has_data(req) && register_pages(req, io, r);
}

/* What a read's commit brings. */
static void take_data(struct request *req, const struct io *io)
{
	uint32_t len = bytes_of(req);

	oracle_touch((void *)(uintptr_t)io->address, len, false, "the driver copies a read's data");
	move(req->data, (char *)(uintptr_t)io->address, len);
	poison((char *)(uintptr_t)io->address, len);
}

void driver_put_reference(struct request *req)
{
	if (req->committed && req->references == 0)
		block_end(req, req->result);
}

/* __ublk_complete_rq(), as far as it goes before the pages are free. Return: what the client gets. */
int driver_complete_request(struct request *req, struct io *io, int res)
{
	if (res >= 0 && res != (has_data(req) ? (int)bytes_of(req) : 0))
		object("request %u of %u sectors is committed with %d", req->serial, req->sectors,
		       res);
	if (req->op == UBLK_IO_OP_READ && res > 0 && copies())
		take_data(req, io);
	return res < 0 ? res : 0;
}

/* ublk_sqe_addr_to_auto_buf_reg() */
static struct ublk_auto_buf_reg registration(const struct op *op)
{
	if (sim.config.path == PATH_ZERO_COPY && op->sqe.addr >> 16 != UBLK_AUTO_BUF_REG_FALLBACK)
		object("a registration as %llx", (unsigned long long)op->sqe.addr);
	return (struct ublk_auto_buf_reg){.index = (uint16_t)op->sqe.addr,
					  .flags = (uint8_t)(op->sqe.addr >> 16)};
}

static void commit(struct op *op, struct io *io, const struct ublksrv_io_cmd *cmd)
{
	struct request *req = io->request;
	struct ring *r = op->ring;

	if (copies() && !cmd->addr && (sim.config.path == PATH_COPY || req->op == UBLK_IO_OP_READ))
		object("a commit of tag %d without an address", req->tag);
	if (!copies() && cmd->addr)
		object("a commit of tag %d with an address", req->tag);
	trace("  request %u: tag %d committed with %d", req->serial, req->tag, cmd->result);
	io->command = op;
	io->active = true;
	io->owned = false;
	io->request = NULL;
	if (sim.config.path == PATH_ZERO_COPY && io->registered)
		(void)slot_unregister(r, io->reg.index);
	io->registered = false;
	if (sim.config.path == PATH_ZERO_COPY)
		io->reg = registration(op);
	else
		io->address = cmd->addr;
	req->result = driver_complete_request(req, io, cmd->result);
	req->committed = true;
	/* A parked tag's buffer is the driver's. */
	if (sim.config.path == PATH_COPY)
		poison((char *)(uintptr_t)io->address, sim.config.max_io);
	driver_put_reference(req);
}

static int get_data(struct op *op, struct io *io, uint64_t address)
{
	struct request *req = io->request;

	io->command = op;
	io->active = true;
	io->owned = false;
	io->need_get = false;
	io->address = address;
	descriptor(req)->addr = address;
	io->request = NULL;
	req->where = AT_DRIVER;
	if (!driver_start_io(&sim.queues[req->queue], req, io))
		return QUEUED_COMMAND;
	trace("  request %u: tag %d has its data", req->serial, req->tag);
	(void)give_to_server(req, io);
	return UBLK_IO_RES_OK;
}

static int fetch(struct op *op, struct hw_queue *hq, struct io *io,
		 const struct ublksrv_io_cmd *cmd)
{
	if (copies() ? !cmd->addr && sim.config.path == PATH_COPY : cmd->addr != 0)
		object("a fetch with address %llx", (unsigned long long)cmd->addr);
	if (io->active || io->owned || io->ready)
		object("a fetch of tag %u, which is fetched", cmd->tag);
	*io = (struct io){.active = true,
			  .ready = true,
			  .command = op,
			  .ring = op->ring,
			  .address = cmd->addr};
	io->reg = registration(op);
	driver_mark_ready(hq);
	return QUEUED_COMMAND;
}

int driver_command(struct op *op)
{
	const struct ublksrv_io_cmd *cmd = (const void *)op->sqe.cmd;
	struct hw_queue *hq;
	struct io *io;

	if (op->sqe.cmd_op == UBLK_U_IO_UNREGISTER_IO_BUF)
		return slot_unregister(op->ring, (unsigned)cmd->addr);
	if (op->sqe.cmd_op != UBLK_U_IO_REGISTER_IO_BUF && sim.config.batch)
		return batch_command(op);
	if (cmd->q_id >= sim.config.queues || cmd->tag >= sim.config.depth)
		object("a command for tag %u of queue %u, which does not exist", cmd->tag,
		       cmd->q_id);
	hq = &sim.queues[cmd->q_id];
	io = &hq->ios[cmd->tag];
	if (op->sqe.cmd_op == UBLK_U_IO_FETCH_REQ)
		return fetch(op, hq, io, cmd);
	if (!sim.config.batch && io->ring != op->ring)
		object("a command for tag %u by a thread that did not fetch it", cmd->tag);
	if (!io->owned)
		object("a command for tag %u, which is not the server's", cmd->tag);
	if (io->need_get != (op->sqe.cmd_op == UBLK_U_IO_NEED_GET_DATA))
		object("a command (%x) for tag %u while its data %s", op->sqe.cmd_op, cmd->tag,
		       io->need_get ? "was not asked for" : "is there");
	switch (op->sqe.cmd_op) {
	case UBLK_U_IO_REGISTER_IO_BUF:
		if (chance(sim.config.no_register))
			return -ENOMEM;
		return slot_register(op->ring, (unsigned)cmd->addr, io->request);
	case UBLK_U_IO_COMMIT_AND_FETCH_REQ:
		commit(op, io, cmd);
		return QUEUED_COMMAND;
	case UBLK_U_IO_NEED_GET_DATA:
		return get_data(op, io, cmd->addr);
	}
	object("an unknown command, %x", op->sqe.cmd_op);
}

/* ublk_user_copy(). */
ssize_t driver_user_copy(void *buffer, size_t len, off_t pos, bool to_request)
{
	uint64_t at = (uint64_t)pos - UBLKSRV_IO_BUF_OFFSET;
	unsigned queue = (unsigned)(at >> UBLK_QID_OFF), tag = at >> UBLK_TAG_OFF & 0xffff;
	uint32_t offset = at & ((1U << UBLK_TAG_OFF) - 1);
	struct request *req;
	struct io *io;

	if (queue >= sim.config.queues || tag >= sim.config.depth)
		object("user copy of tag %u of queue %u, which does not exist", tag, queue);
	io = &sim.queues[queue].ios[tag];
	req = io->request;
	if (!io->owned || !has_data(req) || (req->op == UBLK_IO_OP_READ) != to_request ||
	    offset % SECTOR || offset + len > bytes_of(req))
		object("user copy of %zu bytes at %u of tag %u, which has none", len, offset, tag);
	if (chance(sim.config.no_map)) {
		sim.injected++;
		return (ssize_t)(len / 2);
	}
	oracle_touch(buffer, len, !to_request, "user copy");
	if (to_request)
		move(req->data + offset, buffer, (uint32_t)len);
	else
		move(buffer, req->data + offset, (uint32_t)len);
	return (ssize_t)len;
}
