/* SPDX-License-Identifier: MIT */
#include "record/record.h"

#include <stdlib.h>

void ub_record_done(struct ub_record *record)
{
	ub_spec_done(&record->spec);
	ub_backings_done(&record->backings);
	ub_remote_done(&record->remote);
	free(record->socket);
	*record = (struct ub_record){0};
}
