/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: boundaries do not depend on the pieces that the bytes come
 * in, and memory is bounded by one pax header. */
#include "format/tar-cuts.h"

#include "format/chunker.h"
#include "format/pax-record.h"
#include "format/tar-block.h"
#include "util/cleanup.h"

#include <string.h>

/* Longer ones are passed over: what they say of the size is then not known. */
#define RECORDS_MAX (1u << 20)

void tar_cuts_release(struct tar_cuts *t)
{
	buf_release(&t->pieces);
	*t = TAR_CUTS_INIT;
}

static void expect(struct tar_cuts *t, enum tar_cuts_at at, uint64_t left)
{
	t->at = at;
	t->left = left;
	t->pieces.size = 0;
}

static void read_records(struct tar_cuts *t)
{
	char *p = (char *)t->pieces.data, *end = p + t->pieces.size;
	struct pax_record record;

	while (p < end && *p && pax_record_next(&p, end, &record) == 0)
		if (strcmp(record.keyword, "size") == 0)
			t->has_size = pax_decimal(record.value, record.size,
						  INT64_MAX, &t->size) == 0;
		else if (strcmp(record.keyword, "GNU.sparse.major") == 0)
			t->has_lines = strcmp(record.value, "1") == 0;
}

/* The payload is next. Returns whether it begins with a boundary. */
static bool begin_payload(struct tar_cuts *t)
{
	uint64_t size = t->size;

	t->has_size = t->has_lines = false;
	t->padding = (uint32_t)tar_padding(size);
	t->large = size >= CHUNK_FORCE_SIZE;
	if (size == 0)
		expect(t, TAR_CUTS_HEADER, TAR_BLOCK);
	else
		expect(t, TAR_CUTS_PAYLOAD, size);
	return t->large;
}

/* A link, a device, a directory or a fifo: its size, if any, is no payload's.
 */
static bool has_payload(char type)
{
	return !strchr("123456V", type) || type == 0;
}

/* GNU sparse 1.0: a line with the number of runs, then two for each. Returns
 * whether the payload begins with a boundary behind this block. */
static bool read_lines(struct tar_cuts *t)
{
	const char *p = (const char *)t->pieces.data;
	const char *line = memchr(p, '\n', TAR_BLOCK);
	uint64_t runs;

	if (!t->lines && line &&
	    pax_decimal(p, (size_t)(line - p), INT64_MAX / 4, &runs) == 0)
		t->lines = 1 + 2 * runs;
	t->size -= TAR_BLOCK;
	for (size_t i = 0; t->lines && i < TAR_BLOCK; i++)
		if (p[i] == '\n' && --t->lines == 0)
			return begin_payload(t);
	if (t->lines && t->size >= TAR_BLOCK)
		expect(t, TAR_CUTS_LINES, TAR_BLOCK);
	else
		expect(t, TAR_CUTS_LOST, UINT64_MAX);
	return false;
}

/* The body of a block that belongs to the next one. */
static void begin_special(struct tar_cuts *t, char type, uint64_t size)
{
	bool read = type == 'x' && size <= RECORDS_MAX;

	t->padding = (uint32_t)tar_padding(size);
	t->large = false;
	if (size)
		expect(t, read ? TAR_CUTS_RECORDS : TAR_CUTS_PAYLOAD, size);
	else
		expect(t, TAR_CUTS_HEADER, TAR_BLOCK);
}

/* A whole block; returns whether a boundary is behind it. */
static bool read_header(struct tar_cuts *t)
{
	const uint8_t *block = t->pieces.data;
	char type = (char)block[TAR_AT_TYPE];
	uint64_t size;

	if (tar_is_zero(block)) {
		expect(t, TAR_CUTS_HEADER, TAR_BLOCK);
		return false;
	}
	if (!tar_is_header(block) ||
	    tar_number(block + TAR_AT_SIZE, TAR_SIZE_SIZE, &size) < 0) {
		expect(t, TAR_CUTS_LOST, UINT64_MAX);
		return false;
	}
	if (tar_is_special(type)) {
		begin_special(t, type, size);
		return false;
	}
	if (!t->has_size || !has_payload(type))
		t->size = has_payload(type) ? size : 0;
	if (type == 'S' && block[TAR_AT_MORE]) {
		expect(t, TAR_CUTS_MAP, TAR_BLOCK);
		return false;
	}
	if (t->has_lines && t->size >= TAR_BLOCK) {
		t->lines = 0;
		expect(t, TAR_CUTS_LINES, TAR_BLOCK);
		return false;
	}
	return begin_payload(t);
}

/* What was awaited is complete; returns whether a boundary is here. */
static bool step(struct tar_cuts *t)
{
	switch (t->at) {
	case TAR_CUTS_HEADER:
		return read_header(t);
	case TAR_CUTS_MAP:
		if (!t->pieces.data[TAR_AT_MORE_NEXT])
			return begin_payload(t);
		expect(t, TAR_CUTS_MAP, TAR_BLOCK);
		return false;
	case TAR_CUTS_LINES:
		return read_lines(t);
	case TAR_CUTS_RECORDS:
		read_records(t);
		break;
	case TAR_CUTS_PAYLOAD:
		break;
	default:
		expect(t, TAR_CUTS_HEADER, TAR_BLOCK);
		return false;
	}
	if (t->padding)
		expect(t, TAR_CUTS_PADDING, t->padding);
	else
		expect(t, TAR_CUTS_HEADER, TAR_BLOCK);
	return t->large;
}

/* Bytes that must be there as a whole to be understood. */
static bool is_gathered(enum tar_cuts_at at)
{
	return at == TAR_CUTS_HEADER || at == TAR_CUTS_RECORDS ||
	       at == TAR_CUTS_MAP || at == TAR_CUTS_LINES;
}

size_t tar_cuts_feed(struct tar_cuts *t, const uint8_t *data, size_t size,
		     bool *ret_cut)
{
	size_t taken = 0;

	*ret_cut = false;
	while (taken < size && !*ret_cut) {
		size_t n = (size_t)MIN((uint64_t)(size - taken), t->left);

		if (t->at == TAR_CUTS_LOST)
			return size;
		if (is_gathered(t->at) &&
		    buf_add(&t->pieces, data + taken, n) < 0) {
			/* Chunks come out right without it. */
			expect(t, TAR_CUTS_LOST, UINT64_MAX);
			return size;
		}
		taken += n;
		t->left -= n;
		if (t->left == 0)
			*ret_cut = step(t);
	}
	return taken;
}
