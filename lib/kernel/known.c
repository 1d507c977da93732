/* SPDX-License-Identifier: MIT */
#include "kernel/known.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/parse.h"

#define PARTS 3
#define PART_MAX 1023

/* Each with a report of its own, of a crash at the first ADD_DEV. */
static const char *const crashing[] = {
	"6.18.4",          "6.18.4-arch1-1",    "6.18.5", "6.17.0-1015-azure",
	"6.17.0-1017-aws", "6.17.0-1018-azure", NULL,
};

/* The same fault; told of by number alone. */
static const char *const suspected[] = {
	"6.18.[45][!0-9]*", "6.17.0-3[5-9]-*", "6.17.0-40-*", "6.17.0-101[5-8]-*", NULL,
};

/* clang-format off */
const struct ub_known_fault ub_known_faults[] = {
	{ .releases = crashing, .fatal = true,
	  .what = "making a device crashes this kernel (NULL pointer in ublk_init_queues)",
	  .way = "boot Linux 6.18.6 or newer",
	  .source = "commit 529d4d632788 without 011af85ccd87; "
		    "https://github.com/kvcache-ai/AgentENV/issues/20, "
		    "https://github.com/actions/runner-images/issues/14175, "
		    "https://github.com/longhorn/longhorn/issues/13509" },
	{ .releases = suspected,
	  .what = "making a device may crash this kernel (NULL pointer in ublk_init_queues), unless "
		  "its distribution has mended it",
	  .way = "boot Linux 6.18.6 or newer",
	  .source = "commit 529d4d632788 without 011af85ccd87; "
		    "https://github.com/zabbly/linux/issues/52; of Ubuntu's 35 to 40: go-ublk's "
		    "page of kernel bugs, not checked" },
	{ .first = UB_LINUX(6, 12, 0), .fixed = UB_LINUX(6, 13, 0),
	  .what = "a server that dies while its new device is scanned for partitions leaves a "
		  "device that nothing can stop",
	  .way = "boot Linux 6.18 or newer",
	  .source = "measured on 6.12.107" },
	{ .first = UB_LINUX(6, 16, 0), .fixed = UB_LINUX(7, 0, 0),
	  .what = "a server that is killed just as it takes a device over leaves one that can "
		  "neither be recovered nor deleted",
	  .way = "boot Linux 7.0 or newer",
	  .source = "measured on 6.16.12 and 6.19.14" },
	{ .first = UB_LINUX(7, 0, 0), .fixed = UB_LINUX(7, 1, 0),
	  .what = "memory is used after it was freed when a device goes",
	  .way = "boot Linux 7.1 or newer",
	  .source = "commits 845db023a8ae and f7700a4415af; go-ublk's page of kernel bugs, not "
		    "checked" },
	{ .first = UB_LINUX(7, 2, 0), .fixed = UB_LINUX(7, 3, 0),
	  .what = "zero copy may raise a false alarm of UBSAN in io_uring/rsrc.c, which ends a "
		  "machine with panic_on_warn",
	  .way = "sysctl kernel.panic_on_warn=0",
	  .source = "go-ublk's page of kernel bugs, not checked" },
	{ .what = NULL },
};
/* clang-format on */

uint32_t ub_linux_version(const char *release)
{
	uint32_t part[PARTS] = {0};

	for (int i = 0; i < PARTS; i++) {
		size_t len = strspn(release, "0123456789");
		char text[8] = "";
		uint64_t value;

		if (len < sizeof(text))
			memcpy(text, release, len);
		if (ub_parse_u64(text, PART_MAX, &value) != 0)
			break;
		part[i] = (uint32_t)value;
		release += len;
		if (*release++ != '.')
			break;
	}
	return UB_LINUX(part[0], part[1], part[2]);
}

bool ub_known_fault_has(const struct ub_known_fault *fault, const char *release)
{
	uint32_t version = ub_linux_version(release);

	for (const char *const *name = fault->releases; name && *name; name++)
		if (fnmatch(*name, release, 0) == 0)
			return true;
	return !fault->releases && version >= fault->first && version < fault->fixed;
}

int ub_known_refuse(struct ub_error *err)
{
	struct utsname name;

	if (uname(&name) != 0)
		return 0;
	for (const struct ub_known_fault *fault = ub_known_faults; fault->what; fault++)
		if (fault->fatal && ub_known_fault_has(fault, name.release))
			return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
					    "cannot add a device: on Linux %s %s", name.release,
					    fault->what);
	return 0;
}
