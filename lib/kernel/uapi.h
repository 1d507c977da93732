/* SPDX-License-Identifier: MIT */
/*
 * The ublk driver's interface up to Linux 7.3, stated by us: the oldest distribution that we build
 * on has headers from 6.1, which know almost nothing of it. Names, numbers and layouts are the
 * kernel's (include/uapi/linux/ublk_cmd.h); what a thing does is said where it is used. The sizes
 * are checked at compile time. Knows nobody.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* On /dev/ublk-control, in the last 32 bytes of a 128-byte SQE. */
struct ublksrv_ctrl_cmd {
	uint32_t dev_id;
	uint16_t queue_id; /* always 0xffff */
	uint16_t len;      /* of the buffer at addr */
	uint64_t addr;
	uint64_t data[1];      /* inline argument */
	uint16_t dev_path_len; /* unprivileged devices: the node's path, NUL included, at addr */
	uint16_t pad;
	uint32_t reserved;
};
_Static_assert(sizeof(struct ublksrv_ctrl_cmd) == 32, "struct ublksrv_ctrl_cmd");

#define UBLK_CTRL_R(nr) _IOR('u', nr, struct ublksrv_ctrl_cmd)
#define UBLK_CTRL_W(nr) _IOWR('u', nr, struct ublksrv_ctrl_cmd)

#define UBLK_U_CMD_GET_QUEUE_AFFINITY UBLK_CTRL_R(0x01)
#define UBLK_U_CMD_GET_DEV_INFO UBLK_CTRL_R(0x02)
#define UBLK_U_CMD_ADD_DEV UBLK_CTRL_W(0x04)
#define UBLK_U_CMD_DEL_DEV UBLK_CTRL_W(0x05)
#define UBLK_U_CMD_START_DEV UBLK_CTRL_W(0x06)
#define UBLK_U_CMD_STOP_DEV UBLK_CTRL_W(0x07)
#define UBLK_U_CMD_SET_PARAMS UBLK_CTRL_W(0x08)
#define UBLK_U_CMD_GET_PARAMS UBLK_CTRL_R(0x09)
#define UBLK_U_CMD_START_USER_RECOVERY UBLK_CTRL_W(0x10)
#define UBLK_U_CMD_END_USER_RECOVERY UBLK_CTRL_W(0x11)
#define UBLK_U_CMD_GET_DEV_INFO2 UBLK_CTRL_R(0x12)
#define UBLK_U_CMD_GET_FEATURES UBLK_CTRL_R(0x13)
#define UBLK_U_CMD_DEL_DEV_ASYNC UBLK_CTRL_R(0x14)
#define UBLK_U_CMD_UPDATE_SIZE UBLK_CTRL_W(0x15)
#define UBLK_U_CMD_QUIESCE_DEV UBLK_CTRL_W(0x16)
#define UBLK_U_CMD_TRY_STOP_DEV UBLK_CTRL_W(0x17)
#define UBLK_U_CMD_REG_BUF UBLK_CTRL_W(0x18)
#define UBLK_U_CMD_UNREG_BUF UBLK_CTRL_W(0x19)

/* On /dev/ublkcN, in any SQE. */
struct ublksrv_io_cmd {
	uint16_t q_id;
	uint16_t tag;
	int32_t result; /* of a commit: bytes, or negative errno */
	union {
		uint64_t addr; /* the tag's buffer, or what the data path puts there */
		uint64_t zone_append_lba;
	};
};
_Static_assert(sizeof(struct ublksrv_io_cmd) == 16, "struct ublksrv_io_cmd");

struct ublk_batch_io {
	uint16_t q_id;
	uint16_t flags; /* UBLK_BATCH_F_* */
	uint16_t nr_elem;
	uint8_t elem_bytes;
	uint8_t reserved;
	uint64_t reserved2;
};
_Static_assert(sizeof(struct ublk_batch_io) == 16, "struct ublk_batch_io");

struct ublk_elem_header {
	uint16_t tag;
	uint16_t buf_index;
	int32_t result;
};
_Static_assert(sizeof(struct ublk_elem_header) == 8, "struct ublk_elem_header");

#define UBLK_BATCH_F_HAS_ZONE_LBA (1U << 0)
#define UBLK_BATCH_F_HAS_BUF_ADDR (1U << 1)
#define UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK (1U << 2)

#define UBLK_IO_W(nr) _IOWR('u', nr, struct ublksrv_io_cmd)
#define UBLK_BATCH_W(nr) _IOWR('u', nr, struct ublk_batch_io)

#define UBLK_U_IO_FETCH_REQ UBLK_IO_W(0x20)
#define UBLK_U_IO_COMMIT_AND_FETCH_REQ UBLK_IO_W(0x21)
#define UBLK_U_IO_NEED_GET_DATA UBLK_IO_W(0x22)
#define UBLK_U_IO_REGISTER_IO_BUF UBLK_IO_W(0x23)
#define UBLK_U_IO_UNREGISTER_IO_BUF UBLK_IO_W(0x24)
#define UBLK_U_IO_PREP_IO_CMDS UBLK_BATCH_W(0x25)
#define UBLK_U_IO_COMMIT_IO_CMDS UBLK_BATCH_W(0x26)
#define UBLK_U_IO_FETCH_IO_CMDS UBLK_BATCH_W(0x27)

/* Results of a fetch. */
#define UBLK_IO_RES_OK 0
#define UBLK_IO_RES_NEED_GET_DATA 1
#define UBLK_IO_RES_ABORT (-ENODEV)

/* Offsets on /dev/ublkcN: descriptors are mapped at the first; the second is where user copy reads
 * and writes (added to the position, never or-ed: it overlaps a bit of the tag). */
#define UBLKSRV_CMD_BUF_OFFSET 0
#define UBLKSRV_IO_BUF_OFFSET 0x80000000ULL
#define UBLK_IO_BUF_BITS 25
#define UBLK_TAG_OFF UBLK_IO_BUF_BITS
#define UBLK_TAG_BITS 16
#define UBLK_QID_OFF (UBLK_TAG_OFF + UBLK_TAG_BITS)
#define UBLK_QID_BITS 12
#define UBLKSRV_IO_INTEGRITY_FLAG (1ULL << 62)

#define UBLK_MAX_QUEUE_DEPTH 4096
#define UBLK_MAX_NR_QUEUES (1U << UBLK_QID_BITS)

#define UBLK_F_SUPPORT_ZERO_COPY (1ULL << 0)
#define UBLK_F_URING_CMD_COMP_IN_TASK (1ULL << 1)
#define UBLK_F_NEED_GET_DATA (1ULL << 2)
#define UBLK_F_USER_RECOVERY (1ULL << 3)
#define UBLK_F_USER_RECOVERY_REISSUE (1ULL << 4)
#define UBLK_F_UNPRIVILEGED_DEV (1ULL << 5)
#define UBLK_F_CMD_IOCTL_ENCODE (1ULL << 6)
#define UBLK_F_USER_COPY (1ULL << 7)
#define UBLK_F_ZONED (1ULL << 8)
#define UBLK_F_USER_RECOVERY_FAIL_IO (1ULL << 9)
#define UBLK_F_UPDATE_SIZE (1ULL << 10)
#define UBLK_F_AUTO_BUF_REG (1ULL << 11)
#define UBLK_F_QUIESCE (1ULL << 12)
#define UBLK_F_PER_IO_DAEMON (1ULL << 13)
#define UBLK_F_BUF_REG_OFF_DAEMON (1ULL << 14)
#define UBLK_F_BATCH_IO (1ULL << 15)
#define UBLK_F_INTEGRITY (1ULL << 16)
#define UBLK_F_SAFE_STOP_DEV (1ULL << 17)
#define UBLK_F_NO_AUTO_PART_SCAN (1ULL << 18)
#define UBLK_F_SHMEM_ZC (1ULL << 19)
#define UBLK_F_IO_DESC_SIZE (1ULL << 20)

/* States of a device. */
#define UBLK_S_DEV_DEAD 0
#define UBLK_S_DEV_LIVE 1
#define UBLK_S_DEV_QUIESCED 2
#define UBLK_S_DEV_FAIL_IO 3

struct ublksrv_ctrl_dev_info {
	uint16_t nr_hw_queues;
	uint16_t queue_depth;
	uint16_t state;
	uint16_t io_desc_size; /* valid with UBLK_F_IO_DESC_SIZE; before 7.3 padding, echoed */
	uint32_t max_io_buf_bytes;
	uint32_t dev_id;
	int32_t ublksrv_pid;
	uint32_t pad1;
	uint64_t flags;
	uint64_t ublksrv_flags; /* kept and given back, never looked at, by the driver */
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint64_t reserved1;
	uint64_t reserved2;
};
_Static_assert(sizeof(struct ublksrv_ctrl_dev_info) == 64, "struct ublksrv_ctrl_dev_info");

/* Operations: bits 0 to 7 of a descriptor's op_flags. */
#define UBLK_IO_OP_READ 0
#define UBLK_IO_OP_WRITE 1
#define UBLK_IO_OP_FLUSH 2
#define UBLK_IO_OP_DISCARD 3
#define UBLK_IO_OP_WRITE_SAME 4
#define UBLK_IO_OP_WRITE_ZEROES 5
#define UBLK_IO_OP_ZONE_OPEN 10
#define UBLK_IO_OP_ZONE_CLOSE 11
#define UBLK_IO_OP_ZONE_FINISH 12
#define UBLK_IO_OP_ZONE_APPEND 13
#define UBLK_IO_OP_ZONE_RESET_ALL 14
#define UBLK_IO_OP_ZONE_RESET 15
#define UBLK_IO_OP_REPORT_ZONES 18

/* Flags: in place in the whole word, not shifted down. */
#define UBLK_IO_F_FAILFAST_DEV (1U << 8)
#define UBLK_IO_F_FAILFAST_TRANSPORT (1U << 9)
#define UBLK_IO_F_FAILFAST_DRIVER (1U << 10)
#define UBLK_IO_F_META (1U << 11)
#define UBLK_IO_F_FUA (1U << 13)
#define UBLK_IO_F_NOUNMAP (1U << 15)
#define UBLK_IO_F_SWAP (1U << 16)
#define UBLK_IO_F_NEED_REG_BUF (1U << 17)
#define UBLK_IO_F_INTEGRITY (1U << 18)
#define UBLK_IO_F_SHMEM_ZC (1U << 19)

/* One per queue and tag, written by the kernel, mapped read-only by the server. */
struct ublksrv_io_desc {
	uint32_t op_flags;
	union {
		uint32_t nr_sectors; /* of 512 bytes, whatever the logical block */
		uint32_t nr_zones;
	};
	uint64_t start_sector;
	uint64_t addr;
};
_Static_assert(sizeof(struct ublksrv_io_desc) == 24, "struct ublksrv_io_desc");

#define UBLK_AUTO_BUF_REG_FALLBACK (1U << 0)

/* What `addr` of a fetch holds under UBLK_F_AUTO_BUF_REG. */
struct ublk_auto_buf_reg {
	uint16_t index;
	uint8_t flags;
	uint8_t reserved0;
	uint32_t reserved1;
};
_Static_assert(sizeof(struct ublk_auto_buf_reg) == 8, "struct ublk_auto_buf_reg");

struct ublk_shmem_buf_reg {
	uint64_t addr;
	uint64_t len;
	uint32_t flags;
	uint32_t reserved;
};
_Static_assert(sizeof(struct ublk_shmem_buf_reg) == 24, "struct ublk_shmem_buf_reg");

#define UBLK_SHMEM_BUF_READ_ONLY (1U << 0)

/* Parameters: types says which parts are there. */
#define UBLK_PARAM_TYPE_BASIC (1U << 0)
#define UBLK_PARAM_TYPE_DISCARD (1U << 1)
#define UBLK_PARAM_TYPE_DEVT (1U << 2) /* read-only */
#define UBLK_PARAM_TYPE_ZONED (1U << 3)
#define UBLK_PARAM_TYPE_DMA_ALIGN (1U << 4)
#define UBLK_PARAM_TYPE_SEGMENT (1U << 5)
#define UBLK_PARAM_TYPE_INTEGRITY (1U << 6)

#define UBLK_ATTR_READ_ONLY (1U << 0)
#define UBLK_ATTR_ROTATIONAL (1U << 1)
#define UBLK_ATTR_VOLATILE_CACHE (1U << 2)
#define UBLK_ATTR_FUA (1U << 3) /* honoured only together with VOLATILE_CACHE */

struct ublk_param_basic {
	uint32_t attrs;
	uint8_t logical_bs_shift;
	uint8_t physical_bs_shift;
	uint8_t io_opt_shift;
	uint8_t io_min_shift;
	uint32_t max_sectors;
	uint32_t chunk_sectors;
	uint64_t dev_sectors;
	uint64_t virt_boundary_mask;
};

struct ublk_param_discard {
	uint32_t discard_alignment;
	uint32_t discard_granularity;
	uint32_t max_discard_sectors;
	uint32_t max_write_zeroes_sectors;
	uint16_t max_discard_segments;
	uint16_t reserved0;
};

struct ublk_param_devt {
	uint32_t char_major, char_minor;
	uint32_t disk_major, disk_minor;
};

struct ublk_param_zoned {
	uint32_t max_open_zones;
	uint32_t max_active_zones;
	uint32_t max_zone_append_sectors;
	uint8_t reserved[20];
};

struct ublk_param_dma_align {
	uint32_t alignment; /* a mask */
	uint8_t pad[4];
};

struct ublk_param_segment {
	uint64_t seg_boundary_mask;
	uint32_t max_segment_size;
	uint16_t max_segments;
	uint8_t pad[2];
};

struct ublk_param_integrity {
	uint32_t flags;
	uint16_t max_integrity_segments;
	uint8_t interval_exp;
	uint8_t metadata_size;
	uint8_t pi_offset;
	uint8_t csum_type;
	uint8_t tag_size;
	uint8_t pad[5];
};

struct ublk_params {
	uint32_t len; /* of the struct that the caller knows */
	uint32_t types;
	struct ublk_param_basic basic;
	struct ublk_param_discard discard;
	struct ublk_param_devt devt;
	struct ublk_param_zoned zoned;
	struct ublk_param_dma_align dma;
	struct ublk_param_segment seg;
	struct ublk_param_integrity integrity;
};
_Static_assert(sizeof(struct ublk_params) == 152, "struct ublk_params");
_Static_assert(__builtin_offsetof(struct ublk_params, basic) == 8, "basic");
_Static_assert(__builtin_offsetof(struct ublk_params, discard) == 40, "discard");
_Static_assert(__builtin_offsetof(struct ublk_params, devt) == 60, "devt");
_Static_assert(__builtin_offsetof(struct ublk_params, zoned) == 76, "zoned");
_Static_assert(__builtin_offsetof(struct ublk_params, dma) == 108, "dma");
_Static_assert(__builtin_offsetof(struct ublk_params, seg) == 120, "seg");
_Static_assert(__builtin_offsetof(struct ublk_params, integrity) == 136, "integrity");
