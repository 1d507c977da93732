/* SPDX-License-Identifier: MIT */
/*
 * A server's control socket, as both ends see it: N.sock beside the record, SOCK_SEQPACKET, for root
 * and the server's own user. A request is one packet, and so is its answer.
 *
 * Packets are structs of a fixed size, not JSON: the server reads what anybody of its user's sends,
 * and there is nothing to parse, to allocate or to come in pieces. Both ends are of one machine, so
 * numbers are as the processor has them. A version is for the struct as a whole; what is new gets an
 * operation of its own, and a server that does not know one says so.
 *
 * But for UB_CONTROL_SET, which is about options: these have tables, by which a record is written and
 * read, and a struct would be a second list of them that could not grow. Behind the request's struct
 * comes JSON as a record has it (spec/json_live.h), and behind the answer's what is wrong. A server that
 * does not know the operation hangs up.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UB_CONTROL_MAGIC 0x6b6c6275U /* "ublk" */
#define UB_CONTROL_VERSION 1

enum ub_control_op {
	/* Answer: value[0]: milliseconds since it began to serve; value[1]: UB_CONTROL_PARKS, ...;
	 * value[2]: milliseconds for which a request has been in hand that is so for too long, 0: none is;
	 * value[3]: its queue, and from UB_CONTROL_OP_SHIFT on UBLK_IO_OP_* of it */
	UB_CONTROL_STATUS = 1,
	/* resize.h; -EOPNOTSUPP: of this target it can't be changed. */
	UB_CONTROL_ROOM, /* answer: value[0]: bytes that could be served, INT64_MAX: any number */
	UB_CONTROL_BEGIN_RESIZE, /* value[0]: bytes; answer: value[0]: 1: the code is the record's */
	UB_CONTROL_END_RESIZE, /* value[0]: bytes that the driver has; value[1]: 1: all that came before
				  * has ended */
	UB_CONTROL_PARK, /* end when all that was begun has ended, and leave the device quiesced; it is
			  * not waited for. value[0]: the process that is meant, 0: whichever serves;
			  * value[1]: 1: by intent, so that nobody restarts it.
			  * -EOPNOTSUPP: the driver has no word for that; -ESTALE: another process serves */
	UB_CONTROL_SET, /* changes what the text says. value[0]: 1: only tell whether it could be. Answer:
			 * behind it what is wrong; value[0]: 1: with what was asked. -EAGAIN: it does not
			 * serve yet; -ESHUTDOWN. Whoever has hung up by then has changed his mind */
	UB_CONTROL_HAND_OVER, /* the target's own memory (ub_target.hand_over): a descriptor comes with the
			       * answer. -ENODATA: the target has none */
	UB_CONTROL_AWAY, /* of a target that is remote. Answer: value[0]: milliseconds for which what it serves
			  * has been away, 0: it is not; value[1]: tries; value[2]: errno of the last one;
			  * value[3]: 1: it is fenced off (ub_tgt_away) */
};

#define UB_CONTROL_OP_SHIFT 32

/* Of UB_CONTROL_STATUS. */
#define UB_CONTROL_PARKS 1U      /* it has been told to, and ends as soon as its requests have */
#define UB_CONTROL_FOREGROUND 2U /* whoever started it waits for its end */
#define UB_CONTROL_BOUND 4U      /* the device goes with whoever started it */
#define UB_CONTROL_SPARED 8U     /* systemd ends it last of all: its name begins with '@' */

#define UB_CONTROL_TEXT_MAX 8192 /* bytes behind a request */

struct ub_control_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;    /* enum ub_control_op */
	uint64_t token; /* of the device that is meant */
	uint64_t value[4];
};

struct ub_control_answer {
	uint32_t magic;
	uint16_t version; /* of the server's, whatever the request's was */
	uint16_t op;
	int32_t code; /* 0 or a negative errno: -ENODEV (another device's server), -EOPNOTSUPP (an
		       * operation, or a version, that it does not know) */
	int32_t pid;
	uint64_t value[4];
};

/*
 * Asks the server of device @id with @token, wherever its socket is (record/dir.h).
 * @request: op and value count, the rest is filled in.
 * Return: the answer's code, with the answer; or without one -ENOENT (there is no socket here),
 * -ECONNREFUSED (nobody has it open), -EACCES, -EPERM (the folder is not safe), -ETIMEDOUT (no answer
 * within @timeout_ms), -EPROTO (one that can't be understood), -ECONNRESET (it has hung up), or another
 * negative errno. May take as long as that, and no longer.
 */
int ub_control_ask(uint32_t id, uint64_t token, const struct ub_control_request *request,
		   int timeout_ms, struct ub_control_answer *ret_answer);

/* The same for UB_CONTROL_HAND_OVER. Return: a descriptor that the programs to come inherit, or a negative
 * errno. */
int ub_control_ask_hand_over(uint32_t id, uint64_t token, int timeout_ms);

/*
 * The same with @text, of @len bytes, behind the request, and with the answer's text in @ret_text, ended by
 * a NUL. Return: as above; -EMSGSIZE: it is too long
 */
int ub_control_ask_text(uint32_t id, uint64_t token, const struct ub_control_request *request,
			const char *text, size_t len, int timeout_ms,
			struct ub_control_answer *ret_answer,
			char ret_text[static UB_CONTROL_TEXT_MAX]);
