/* SPDX-License-Identifier: MIT */
/* Giving back memory that a process which waits for long does not need meanwhile. */
#pragma once

/* Free memory of the heap, what deeper calls have had of the main thread's stack, and the program's text
 * and constants: what is needed again comes again, from the page cache. */
void ub_process_forget(void);
