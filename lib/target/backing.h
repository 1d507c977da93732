/* SPDX-License-Identifier: MIT */
/*
 * What the data lies on: opening a regular file or a block device, making sure that it is one and
 * the right one, and keeping others away from it. Knows neither blocks nor direct I/O (probe.h)
 * nor what is served.
 */
#pragma once

#include <sys/types.h>

#include "target/target.h"

/* Return: 0 for a regular file and a block device, else -EINVAL or -EISDIR with a message. */
int ub_backing_check_kind(const char *path, mode_t mode, struct ub_error *err);

/*
 * Opens what is at @tgt->backing.path, or makes a file of @create bytes there if that is not 0, and
 * identifies it; one that @req expects is also looked for elsewhere. Sets in @tgt: files, backing (but
 * for what is served), read_only, created. The descriptor has no O_DIRECT yet.
 *
 * Return: 0, or a negative errno with a message; then @tgt may be partly filled: ub_tgt_undo() and
 * ub_tgt_close(). -EBUSY: a block device that another one has. -ESTALE: it is not the one that is expected.
 */
int ub_backing_open(struct ub_tgt *tgt, uint64_t create, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err);

/* Notes what a recovery has to go without: of a file that has no name, or nothing firm to know it by. */
void ub_backing_note(const struct ub_tgt *tgt, struct ub_notes *notes);

/*
 * Locks @length bytes of it, from where it is served on. The descriptor is the only one of its
 * description: the lock lasts as long as the server's I/O does, even past the server's death. (Of a block
 * device the whole is the server's alone, by O_EXCL; so no two devices have a range of it each.)
 *
 * Return: 0, or a negative errno with a message; -EBUSY: another one has it, or a part of it.
 */
int ub_backing_lock(const struct ub_tgt *tgt, uint64_t length, struct ub_error *err);
/* Lets go of what of it lies behind @length bytes. */
void ub_backing_unlock_rest(const struct ub_tgt *tgt, uint64_t length);

/* Looks how large the whole of it is now. Return: 0 with ub_backing.size, or a negative errno. */
int ub_backing_measure(struct ub_tgt *tgt);

/*
 * Opens the very file or block device of @fd once more: a description of its own, for the errors that
 * the kernel tells to each; without O_DIRECT and without a lock. Return: a descriptor or a negative
 * errno.
 */
int ub_backing_open_again(int fd);
