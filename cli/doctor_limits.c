/* SPDX-License-Identifier: MIT */
/* What a device may have: limits of the process and of the control group, huge pages. All of it is
 * held against a device as `ublk add -t null` makes it. */
#include "doctor.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/caps.h"
#include "base/parse.h"
#include "budget/limits.h"
#include "dry_run.h"
#include "spec/check.h"
#include "target/target.h"

/* What a server with one queue has open at most while it starts; measured. */
#define DESCRIPTORS 15

static int plan(struct ub_doctor *doctor, struct ub_error *err)
{
	struct ub_spec spec;
	int ret;

	ub_spec_init(&spec);
	spec.unprivileged = ub_ctrl_is_unprivileged();
	ret = ub_spec_set_target(&spec, ub_target_find("null"));
	if (ret)
		(void)ub_fail(err, UB_STAGE_PLAN, ret, "cannot plan a device");
	else
		ret = ub_spec_check(&spec, err);
	if (!ret)
		ret = ub_dry_run_limits(&spec, doctor->ctrl, doctor->limits, err);
	ub_spec_done(&spec);
	return ret;
}

static void tell_limit(struct ub_doctor *doctor, const struct ub_limit *limit)
{
	struct ub_error err = {0};
	char need[16], have[16];

	if (!ub_limit_fits(limit)) {
		(void)ub_fail_text(&err, UB_STAGE_PLAN, -ENOMEM,
				   "cannot add a device: it needs %llu bytes of %s, and %llu are "
				   "allowed",
				   (unsigned long long)limit->need, limit->what,
				   (unsigned long long)limit->have);
		ub_doctor_bad(doctor, &err);
		return;
	}
	ub_doctor_good(doctor, "%s: %s needed, %s allowed", limit->what,
		       ub_format_size(limit->need, need, sizeof(need)),
		       limit->have == UB_UNLIMITED
			       ? "any amount"
			       : ub_format_size(limit->have, have, sizeof(have)));
}

/* A server raises its limit to the hard one, and that if it may. */
static void check_descriptors(struct ub_doctor *doctor)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	struct ub_error err = {0};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max >= DESCRIPTORS || ub_has_cap(CAP_SYS_RESOURCE)) {
		ub_doctor_good(doctor, "open files: %u needed, %llu allowed", DESCRIPTORS,
			       (unsigned long long)limit.rlim_max);
		return;
	}
	(void)ub_fail_text(&err, UB_STAGE_PLAN, -EMFILE,
			   "cannot add a device: its server opens %u files, and %llu are allowed "
			   "(RLIMIT_NOFILE)",
			   DESCRIPTORS, (unsigned long long)limit.rlim_max);
	ub_doctor_bad(doctor, &err);
}

void ub_check_limits(struct ub_doctor *doctor)
{
	struct ub_error err = {0};

	check_descriptors(doctor);
	doctor->is_planned = plan(doctor, &err) == 0;
	if (doctor->is_planned)
		tell_limit(doctor, &doctor->limits[UB_LIMIT_LOCKED]);
	else
		ub_doctor_bad(doctor, &err);
}

void ub_check_cgroup(struct ub_doctor *doctor)
{
	if (doctor->is_planned)
		tell_limit(doctor, &doctor->limits[UB_LIMIT_CGROUP]);
	else
		ub_doctor_note(doctor, NULL, "not asked: nothing could be planned");
}

void ub_check_huge_pages(struct ub_doctor *doctor)
{
	struct ub_allowance allowance = {0};
	char page[16], free[16];

	ub_allowance_read_huge(&allowance);
	(void)ub_format_size(allowance.huge_page, page, sizeof(page));
	if (!allowance.huge_page)
		ub_doctor_good(doctor, "this kernel has none; only --huge-pages needs them");
	else if (!allowance.huge_free)
		ub_doctor_good(doctor,
			       "none of %s is free; only --huge-pages needs them (sysctl "
			       "vm.nr_hugepages=N)",
			       page);
	else
		ub_doctor_good(doctor, "%s of %s each are free",
			       ub_format_size(allowance.huge_free, free, sizeof(free)), page);
}
