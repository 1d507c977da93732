/* SPDX-License-Identifier: MIT */
/*
 * A record as version 0.1.0 wrote it before readers became tolerant: that one wanted every field.
 * Never to be changed: what reads records has to read this one.
 */
#pragma once

/* clang-format off */
static const char old_record[] =
	"{\"schema\":\"ublk.record/1\",\"version\":\"0.1.0\",\"id\":0,"
	"\"token\":\"0xf99f16937d9390f8\",\"spec\":{\"id\":-1,\"name\":\"disk\",\"queues\":2,"
	"\"depth\":128,\"max_io\":524288,\"data_path\":\"auto\",\"batch\":\"auto\","
	"\"threads\":0,\"cpus\":null,\"poll_us\":0,\"buffer_memory\":0,\"memory_limit\":0,"
	"\"mlock\":false,\"huge_pages\":false,\"numa_node\":-1,\"logical_block_size\":512,"
	"\"physical_block_size\":0,\"io_min\":0,\"io_opt\":0,\"read_only\":false,"
	"\"rotational\":false,\"no_partition_scan\":false,\"no_discard\":false,"
	"\"no_lock\":false,\"recovery\":\"reissue\",\"log_file\":null},"
	"\"target\":{\"type\":\"loop\",\"file\":\"/srv/img\",\"offset\":0,\"size\":67108864,"
	"\"direct\":true},\"granted\":{\"queues\":2,\"depth\":128,\"max_io\":524288,"
	"\"flags\":\"0x5a\",\"data_path\":\"copy\",\"path_reason\":\"driver\"},"
	"\"server\":{\"pid\":194,\"start_time\":1407,\"threads\":2,\"taking_over\":false},"
	"\"memory\":{\"base\":\"0x7fffeffa9000\",\"stride\":67264512,"
	"\"target\":{\"base\":\"0x0\",\"size\":0},\"state\":{\"offset\":\"0x1000\","
	"\"size\":12288},\"batch\":{\"offset\":\"0x0\",\"size\":0},"
	"\"stack\":{\"offset\":\"0x5000\",\"size\":131072},"
	"\"buffers\":{\"offset\":\"0x26000\",\"size\":67108864},"
	"\"plan\":{\"descriptors\":{\"mapped\":8192,\"start\":0,\"most\":0,\"locked\":0,"
	"\"pinned\":0,\"charged\":0},\"rings\":{\"mapped\":40960,\"start\":40960,"
	"\"most\":40960,\"locked\":0,\"pinned\":0,\"charged\":0},\"table\":{\"mapped\":0,"
	"\"start\":0,\"most\":0,\"locked\":0,\"pinned\":0,\"charged\":0},"
	"\"state\":{\"mapped\":24576,\"start\":24576,\"most\":24576,\"locked\":0,"
	"\"pinned\":0,\"charged\":0},\"stacks\":{\"mapped\":262144,\"start\":16384,"
	"\"most\":262144,\"locked\":0,\"pinned\":0,\"charged\":0},"
	"\"buffers\":{\"mapped\":134217728,\"start\":0,\"most\":134217728,\"locked\":0,"
	"\"pinned\":0,\"charged\":0},\"target\":{\"mapped\":0,\"start\":0,\"most\":0,"
	"\"locked\":0,\"pinned\":0,\"charged\":0},\"program\":{\"mapped\":2711552,"
	"\"start\":2711552,\"most\":2711552,\"locked\":0,\"pinned\":0,\"charged\":0}}},"
	"\"backing\":{\"path\":\"/srv/img\",\"dev\":27,\"ino\":13,\"rdev\":0,"
	"\"size\":67108864,\"writable\":true},\"write_error\":0,\"notes\":[]}";
/* clang-format on */
