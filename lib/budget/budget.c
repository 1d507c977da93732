/* SPDX-License-Identifier: MIT */
#include "budget/budget.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/parse.h"
#include "budget/charged.h"
#include "spec/check.h"
#include "spec/data_path.h"
#include "kernel/ctrl.h"
#include "kernel/sysfs.h"
#include "layer/layer.h"
#include "memory/desc.h"
#include "process/program.h"
#include "target/target.h"

_Static_assert(UB_UNLIMITED == RLIM_INFINITY, "limits are taken as they are");

/* Of a program besides what its file says: the main stack, the heap, and the kernel's pages. */
#define PROGRAM_EXTRA (512U * 1024)

/* Is a ring refused to who may lock nothing? Tried in a child, which gives its privilege away. */
static bool try_charge(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};
	struct rlimit none = {0};
	struct io_uring_params params = {0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (syscall(SYS_capset, &head, caps) != 0 || setrlimit(RLIMIT_MEMLOCK, &none) != 0)
			_exit(0);
		_exit(syscall(SYS_io_uring_setup, 1, &params) < 0 && errno == ENOMEM);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* A number of the pool of huge pages of @kib KiB each. */
static uint64_t read_huge(uint64_t kib, const char *name)
{
	char line[64];
	uint64_t value;

	if (ub_sysfs_line(line, sizeof(line), "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
			  (unsigned long long)kib, name) < 0 ||
	    ub_parse_u64(line, UINT64_MAX, &value) < 0)
		return 0;
	return value;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Of the pool for the default size: what is free and not reserved, and what may still be added. */
void ub_allowance_read_huge(struct ub_allowance *allowance)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
	_cleanup_free_ char *line = NULL;
	unsigned long long kib = 0;
	uint64_t pages;
	size_t size = 0;

	while (file && !kib && getline(&line, &size, file) > 0)
		(void)sscanf(line, "Hugepagesize: %llu kB", &kib);
	if (!kib)
		return;
	pages = minus(read_huge(kib, "free_hugepages"), read_huge(kib, "resv_hugepages")) +
		minus(read_huge(kib, "nr_overcommit_hugepages"),
		      read_huge(kib, "surplus_hugepages"));
	allowance->huge_page = kib << 10;
	allowance->huge_free = pages * allowance->huge_page;
}

void ub_allowance_read_available(struct ub_allowance *allowance)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
	_cleanup_free_ char *line = NULL;
	unsigned long long available = 0, swap = 0;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		(void)sscanf(line, "MemAvailable: %llu kB", &available);
		(void)sscanf(line, "SwapFree: %llu kB", &swap);
	}
	if (available)
		allowance->available = (available + swap) << 10;
}

void ub_allowance_read(struct ub_allowance *ret_allowance, uint64_t cgroup)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	bool exempt = ub_has_cap(CAP_IPC_LOCK);

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	*ret_allowance = (struct ub_allowance){
		.exempt = exempt,
		.rings_charged = !exempt && try_charge(),
		.may_raise = ub_has_cap(CAP_SYS_RESOURCE),
		.locked_soft = limit.rlim_cur,
		.locked_hard = limit.rlim_max,
		.cgroup = cgroup,
		.available = UB_UNLIMITED,
	};
	if (ret_allowance->rings_charged)
		ret_allowance->locked_used = ub_charged_rings();
}

/* Address space that the server's program maps, by its file; 0 if it can't be read. */
static uint64_t program_size(const struct ub_target *type, uint64_t page)
{
	_cleanup_close_ int fd = ub_program_open_server(type->program);
	uint64_t size = PROGRAM_EXTRA;
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(part))
		return 0;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), (off_t)(head.e_phoff + i * sizeof(part))) !=
		    sizeof(part))
			return 0;
		/* Where it begins and ends amid a page, both pages are mapped. */
		if (part.p_type == PT_LOAD)
			size += ub_round_page(part.p_vaddr % page + part.p_memsz, page);
	}
	return size;
}

/* Addresses for the buffers of a thread: one for each request. Locked, or in huge pages, what is
 * mapped is in memory: then a capped pool has no more than it may. */
static uint64_t buffer_space(const struct ub_spec *spec, const struct ublksrv_ctrl_dev_info *info,
			     int path, uint64_t page)
{
	uint64_t all = (uint64_t)ub_spec_ios(spec, info->nr_hw_queues, info->queue_depth) *
		       info->max_io_buf_bytes;
	uint64_t cap = ub_budget_buffers(spec, info) / page * page;

	if (!ub_path_has_pool(path) || !spec->buffer_memory || !(spec->mlock || spec->huge_pages) ||
	    cap > all)
		return all;
	return cap / info->max_io_buf_bytes * info->max_io_buf_bytes;
}

/* The pages of buffers. */
static int choose_page(const struct ub_spec *spec, const struct ub_allowance *allowance,
		       struct ub_plan_facts *facts, struct ub_error *err)
{
	facts->buffer_page = facts->page;
	if (!spec->huge_pages)
		return 0;
	if (!allowance->huge_page)
		return ub_fail_text(err, UB_STAGE_PLAN, -EOPNOTSUPP,
				    "cannot add a device: this kernel has no huge pages");
	facts->buffer_page = allowance->huge_page;
	return 0;
}

static int by_node(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The node of the CPUs that --cpus gives to the first thread of a queue; -1: there is no --cpus. */
static int32_t node_of_cpus(const struct ub_spec *spec, const struct ub_layout *layout,
			    int32_t queue)
{
	cpu_set_t cpus[CPU_ALLOC_SIZE(UB_CPUS_MAX) / sizeof(cpu_set_t)];

	if (ub_spec_deal_cpus(spec, (uint32_t)queue / layout->share * layout->threads,
			      (unsigned)ub_layout_stretches(layout), cpus, sizeof(cpus)) <= 0)
		return -1;
	return ub_sysfs_cpus_node(cpus, sizeof(cpus));
}

/* The driver is to say which CPUs a queue serves, and deals them out node by node
 * (group_cpus_evenly()). */
void ub_budget_predict_nodes(const struct ub_spec *spec, struct ub_plan *plan)
{
	long count = sysconf(_SC_NPROCESSORS_CONF);
	_cleanup_free_ int32_t *nodes = calloc((size_t)count, sizeof(*nodes));

	for (long cpu = 0; nodes && cpu < count; cpu++)
		nodes[cpu] = ub_sysfs_cpu_node((unsigned)cpu);
	if (nodes)
		qsort(nodes, (size_t)count, sizeof(*nodes), by_node);
	for (size_t i = 0; i < plan->count; i++) {
		struct ub_plan_region *r = &plan->regions[i];

		if (r->queue < 0 || r->kind == UB_REGION_DESCRIPTORS || r->kind == UB_REGION_TABLE)
			continue;
		if (spec->numa_node >= 0)
			r->node = spec->numa_node;
		else if (spec->cpus)
			r->node = node_of_cpus(spec, &plan->layout, r->queue);
		else if (nodes)
			r->node = nodes[r->queue * count / plan->layout.queues];
		if (r->node < 0 || (spec->numa_node < 0 && !ub_sysfs_node_has_memory(r->node)))
			r->node = -1;
	}
}

int ub_budget_plan(const struct ub_spec *spec, const struct ublksrv_ctrl_dev_info *info,
		   const struct ub_tgt *tgt, const struct ub_allowance *allowance,
		   struct ub_plan *ret_plan, struct ub_error *err)
{
	uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	struct ublksrv_ctrl_dev_info asked = {
		.nr_hw_queues = (uint16_t)(spec->queues < cpus ? spec->queues : cpus),
		.queue_depth = (uint16_t)spec->depth,
		.max_io_buf_bytes = spec->max_io,
		.flags = ub_spec_path_flags(spec),
	};
	int path = info ? ub_path_granted(info->flags) : ub_spec_path(spec);
	struct ub_plan_facts facts = {.page = (uint64_t)sysconf(_SC_PAGESIZE)};
	int ret;

	if (!info)
		info = &asked;
	facts.queues = info->nr_hw_queues;
	facts.depth = info->queue_depth;
	facts.threads = ub_spec_threads_per_queue(spec, facts.depth);
	facts.share = ub_spec_queues_per_thread(spec, facts.queues);
	facts.ops_per_io = tgt->ops_per_io;
	facts.desc_size = ub_desc_size(info);
	if (info->flags & UBLK_F_BATCH_IO)
		facts.batch_element =
			path == UB_PATH_COPY ? UB_BATCH_ELEMENT_SIZE : UB_BATCH_HEAD_SIZE;
	facts.control_entries = UB_CTRL_RING_ENTRIES;
	ret = choose_page(spec, allowance, &facts, err);
	if (ret)
		return ret;
	if (ub_path_has_buffers(path, tgt->type)) {
		facts.buffers = buffer_space(spec, info, path, facts.buffer_page);
		if (!facts.buffers)
			return ub_fail_text(
				err, UB_STAGE_USAGE, -EINVAL,
				"--buffer-memory %llu is too little: in pages of %llu "
				"bytes, no request of %u fits into a queue's part of it",
				(unsigned long long)spec->buffer_memory,
				(unsigned long long)facts.buffer_page, info->max_io_buf_bytes);
	}
	if (path == UB_PATH_ZERO_COPY) {
		facts.slots = true;
		/* And one more, for it need not begin at a page. */
		facts.slot_pages = (uint32_t)(info->max_io_buf_bytes / facts.page) + 1;
	}
	facts.buffers_most = ub_budget_buffers(spec, info);
	facts.target = tgt->memory_size;
	facts.target_queue = ub_layers_queue_bytes(tgt, &spec->layers);
	facts.target_io = ub_layers_io_bytes(tgt->type, &spec->layers);
	facts.own_ops = tgt->own_ops + ub_layers_own_ops(&spec->layers);
	facts.program = program_size(tgt->type, facts.page);
	facts.libraries = tgt->type->libraries.resident;
	facts.libraries_mapped = tgt->type->libraries.mapped;
	facts.copies = tgt->type->libraries.copies;
	facts.lock = spec->mlock;
	facts.lock_charged = !allowance->exempt;
	facts.rings_charged = allowance->rings_charged;
	ret = ub_plan_make(ret_plan, &facts);
	return ret ? ub_fail(err, UB_STAGE_PLAN, ret, "cannot plan the device's memory") : 0;
}

uint64_t ub_budget_buffers(const struct ub_spec *spec, const struct ublksrv_ctrl_dev_info *info)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint32_t threads = ub_spec_threads(spec, info->nr_hw_queues, info->queue_depth);

	if (!spec->buffer_memory)
		return (uint64_t)ub_spec_ios(spec, info->nr_hw_queues, info->queue_depth) *
		       info->max_io_buf_bytes;
	return spec->buffer_memory / threads / page * page;
}

int ub_budget_fit(struct ub_spec *spec, const struct ub_tgt *tgt,
		  const struct ub_allowance *allowance, struct ub_notes *notes,
		  struct ub_error *err)
{
	struct ub_spec fitted = *spec;
	struct ub_plan plan;
	uint64_t buffers, rest, page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned times = tgt->type->libraries.copies ? 2 : 1;
	char text[16];
	int ret;

	if (!spec->memory_limit || spec->data_path != UB_PATH_AUTO || spec->buffer_memory ||
	    tgt->type->in_memory)
		return 0;
	ret = ub_budget_plan(spec, NULL, tgt, allowance, &plan, err);
	if (ret)
		return ret;
	/* What is in a buffer may be in the server's libraries once more. */
	buffers = ub_plan_of(&plan, UB_REGION_BUFFERS).most;
	rest = plan.total.most - buffers * times;
	rest = spec->memory_limit > rest ? (spec->memory_limit - rest) / times : 0;
	rest = rest / page * page;
	if (plan.total.most > spec->memory_limit) {
		fitted.buffer_memory = rest;
		if (rest && ub_spec_check(&fitted, NULL) == 0) {
			spec->buffer_memory = rest;
			spec->path_reason = UB_REASON_LIMIT;
			ub_note(notes,
				"data path %s, with %s of buffers, to stay within --memory-limit",
				ub_data_path_names[ub_spec_path(spec)],
				ub_format_size(rest, text, sizeof(text)));
		}
	}
	ub_plan_done(&plan);
	return 0;
}
