/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The progress of a long call as a line on the terminal's standard error. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool enabled;
	bool drawn;
	char stage[16];
	int64_t started_ms; /* of the stage */
	int64_t drawn_ms;
	uint64_t first; /* what was done when the stage started */
};

/* Nothing is ever drawn unless standard error is a terminal that can clear a
 * line. */
void progress_init(struct progress *p, bool wanted);

/* Draws a Progress object of the API, at most some times a second. */
void progress_update(struct progress *p, const json_t *progress);

/* Removes the line. */
void progress_clear(struct progress *p);

/* The text of the line, at most width columns; made apart for tests.
 * elapsed_ms is how long the stage takes by now. Returns text. */
#define PROGRESS_TEXT_MAX 256
char *progress_text(const char *stage, uint64_t first, uint64_t done,
		    uint64_t total, uint64_t files, int64_t elapsed_ms,
		    int width, char text[static PROGRESS_TEXT_MAX]);
