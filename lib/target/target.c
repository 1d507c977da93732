/* SPDX-License-Identifier: MIT */
/* What is the same for all targets. */
#include "target/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nbd/names.h"
#include "target/path.h"
#include "tls/tls.h"

int ub_tgt_set_size(struct ub_tgt *tgt, uint64_t size, struct ub_notes *notes, struct ub_error *err)
{
	uint64_t rest = size % tgt->logical_block_size;

	if (size == rest)
		return ub_fail_text(err, UB_STAGE_BACKING, -EINVAL,
				    "cannot serve %llu bytes: a logical block has %u",
				    (unsigned long long)size, tgt->logical_block_size);
	if (rest)
		ub_note(notes, "the last %llu of %llu bytes are not served: a logical block has %u",
			(unsigned long long)rest, (unsigned long long)size,
			tgt->logical_block_size);
	tgt->size = size - rest;
	tgt->limit = tgt->size;
	return 0;
}

const char *ub_away_words(int error)
{
	switch (error) {
	case -ESTALE:
		return "what is there is not what the device was made of";
	case -EDESTADDRREQ:
		return "its name has no address";
	case -ENOTUNIQ:
		return "it is found at several places";
	case -ENOKEY:
		return "there is no TLS";
	case -UB_NBD_NAMES_GONE:
		return "the program that looks up its name, ublk-names, has ended";
	default:
		return ub_tls_words(error);
	}
}

bool ub_away_lacks_program(int error)
{
	return error == -UB_TLS_GONE || error == -UB_NBD_NAMES_GONE;
}

void ub_remote_done(struct ub_remote *remote)
{
	free(remote->id);
	free(remote->holder);
	*remote = (struct ub_remote){0};
}

void ub_tgt_undo(struct ub_tgt *tgt)
{
	for (unsigned i = 0; i < tgt->backings.count; i++) {
		const struct ub_backing *b = &tgt->backings.at[i];

		if (!tgt->created[i])
			continue;
		ub_path_remove(tgt->created_in[i], strrchr(b->path, '/') + 1, b->dev, b->ino);
		(void)close(tgt->created_in[i]);
		tgt->created[i] = false;
	}
}

void ub_tgt_close_queue(struct ub_tgt *tgt, struct ub_tgt_queue *tq)
{
	if (tgt->type->queue_close)
		tgt->type->queue_close(tgt, tq);
	while (tq->nr_files > 0)
		(void)close(tq->files[--tq->nr_files]);
}

void ub_tgt_close(struct ub_tgt *tgt)
{
	if (tgt->type && tgt->type->close)
		tgt->type->close(tgt);
	for (unsigned i = 0; i < tgt->nr_files; i++)
		(void)close(tgt->files[i]);
	for (unsigned i = 0; i < tgt->backings.count; i++)
		if (tgt->created[i])
			(void)close(tgt->created_in[i]);
	ub_backings_done(&tgt->backings);
	ub_remote_done(&tgt->remote);
	memset(tgt, 0, sizeof(*tgt));
}
