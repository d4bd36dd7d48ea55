/* SPDX-License-Identifier: Apache-2.0 */
/* cpio archives of each format as entries, and those that nobody should make.
 */
#include "tar-fixture.h"

#include "format/cpio-reader.h"

#include <errno.h>

enum format {
	ODC,
	NEWC,
	CRC,
	BIN,
	SWAPPED,
	FORMATS
};

struct object {
	const char *name;
	uint32_t mode, inode, links;
	const char *data;
	uint32_t rdev; /* major * 256 + minor */
	uint32_t check;
	size_t name_size; /* 0: with its NUL */
};

static void add_word(struct buf *b, enum format format, uint32_t v)
{
	uint8_t w[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

	if (format == SWAPPED)
		w[0] = (uint8_t)(v >> 8), w[1] = (uint8_t)v;
	assert_int_equal(buf_add(b, w, 2), 0);
}

static void add_header(struct buf *b, enum format format,
		       const struct object *o, size_t name, size_t size)
{
	const uint32_t words[] = {070707,
				  3,
				  o->inode,
				  o->mode,
				  1000,
				  100,
				  o->links,
				  o->rdev,
				  15,
				  16960,
				  (uint32_t)name,
				  (uint32_t)(size >> 16),
				  (uint32_t)size & 0xffff};

	if (format == ODC)
		assert_int_equal(
			buf_printf(b,
				   "070707%06o%06o%06o%06o%06o%06o%06o%011o"
				   "%06zo%011zo",
				   3, o->inode, o->mode, 1000, 100, o->links,
				   o->rdev, 1000000, name, size),
			0);
	else if (format == NEWC || format == CRC)
		assert_int_equal(
			buf_printf(b,
				   "07070%d%08x%08x%08x%08x%08x%08x%08zx%08x"
				   "%08x%08x%08x%08zx%08x",
				   format == CRC ? 2 : 1, o->inode, o->mode,
				   1000, 100, o->links, 1000000, size, 0, 3,
				   o->rdev >> 8, o->rdev & 255, name, o->check),
			0);
	else
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			add_word(b, format, words[i]);
}

static void add_padding(struct buf *b, size_t from, enum format format)
{
	size_t align = format == ODC ? 1 : format <= CRC ? 4 : 2;

	while ((b->size - from) % align)
		assert_int_equal(buf_add_zero(b, 1), 0);
}

static void add_object(struct buf *b, enum format format,
		       const struct object *o)
{
	size_t start = b->size, size = o->data ? strlen(o->data) : 0;
	size_t name = o->name_size ? o->name_size : strlen(o->name) + 1;

	add_header(b, format, o, name, size);
	assert_int_equal(buf_add(b, o->name, strlen(o->name) + 1), 0);
	add_padding(b, start, format);
	start = b->size;
	assert_int_equal(buf_add(b, o->data ? o->data : "", size), 0);
	add_padding(b, start, format);
}

static void add_trailer(struct buf *b, enum format format)
{
	add_object(b, format,
		   &(struct object){.name = "TRAILER!!!", .links = 1});
}

struct source {
	const struct buf *data;
	size_t at;
};

static ssize_t read_source(void *data, size_t size, void *ctx, struct err *err)
{
	struct source *s = ctx;
	size_t n = MIN(MIN(size, (size_t)100), s->data->size - s->at);

	(void)err;
	if (n)
		memcpy(data, s->data->data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static int read_data(struct cpio_reader *r, const struct entry *e,
		     struct buf *text, struct err *err)
{
	char data[16];
	ssize_t n = 0;

	if (e->size == 0)
		return 0;
	assert_int_equal(buf_add_str(text, "  "), 0);
	while ((n = cpio_reader_data(r, data, sizeof(data), err)) > 0)
		add_text(text, data, (size_t)n);
	assert_int_equal(buf_add_str(text, "\n"), 0);
	return (int)n;
}

/* Entries as text; their data, too, unless it is skipped. */
static int read_cpio(const struct buf *b, bool skip, struct buf *text,
		     struct err *err)
{
	struct source s = {b, 0};
	const struct archive_source source = {read_source, &s, "a.cpio"};
	_cleanup_(archive_input_freep) struct archive_input *in = NULL;
	_cleanup_(cpio_reader_freep) struct cpio_reader *r = NULL;
	struct entry e;
	int f = archive_input_open(&in, &source, err);

	if (f < 0)
		return f;
	assert_int_equal(archive_input_kind(in), ARCHIVE_CPIO);
	assert_int_equal(cpio_reader_new(&r, in), 0);
	while ((f = cpio_reader_next(r, &e, err)) == 0) {
		dump(&e, text);
		if (!skip)
			f = read_data(r, &e, text, err);
		if (f < 0)
			return f;
	}
	return f == CPIO_READER_END ? 0 : f;
}

static void assert_reads(const struct buf *b, const char *expected)
{
	for (int skip = 0; skip < 2; skip++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct err err = ERR_INIT;

		if (read_cpio(b, skip, &text, &err) < 0)
			fail_msg("%s", err.text);
		if (!skip)
			assert_string_equal(buf_str(&text), expected);
	}
}

static void assert_bad(const struct buf *b, const char *sentence)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (read_cpio(b, false, &text, &err) != -EBADMSG)
		fail_msg("accepted: %s", buf_str(&text));
	if (!strstr(err.text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
}

#define ATTRIBUTES " owner=1000:100 mtime=1000000.000000000 "

static void test_each_format_gives_the_same_entries(void **state)
{
	for (int f = 0; f < FORMATS; f++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		add_object(&b, f, &(struct object){".", 0040755, 1, 2});
		add_object(&b, f,
			   &(struct object){"./d/f", 0104755, 2, 1, "hello",
					    .check = 532});
		add_object(&b, f, &(struct object){"/abs", 0100644, 3, 1, ""});
		add_object(&b, f,
			   &(struct object){"link", 0120777, 4, 1, "to/f"});
		add_object(&b, f,
			   &(struct object){"tty", 0020620, 5, 1, NULL, 0x501});
		add_object(&b, f, &(struct object){"null", 0020620, 6, 1});
		add_object(&b, f, &(struct object){"sock", 0140620, 7, 1});
		add_object(&b, f, &(struct object){"fifo", 0010600, 8, 1});
		add_trailer(&b, f);
		assert_int_equal(buf_pad(&b, 512), 0);
		assert_reads(
			&b,
			" flags=0 mode=40755" ATTRIBUTES "size=0\n"
			"d/f flags=0 mode=104755" ATTRIBUTES "size=5\n"
			"  hello\n"
			"abs flags=0 mode=100644" ATTRIBUTES "size=0\n"
			"link flags=0 mode=120777" ATTRIBUTES "size=0 -> to/f\n"
			"tty flags=0 mode=20620" ATTRIBUTES "size=0 rdev=5:1\n"
			"fifo flags=0 mode=10600" ATTRIBUTES "size=0\n");
	}
}

static void test_names_of_one_file_are_links_wherever_its_data_is(void **state)
{
	for (int f = 0; f < FORMATS; f++) {
		bool last = f == NEWC || f == CRC;
		_cleanup_buf_ struct buf b = BUF_INIT;

		for (int i = 0; i < 3; i++)
			add_object(&b, f,
				   &(struct object){
					   (const char *[]){"a", "b", "c"}[i],
					   0100644, 9, 3,
					   !last || i == 2 ? "data" : NULL,
					   .check = 410});
		add_object(&b, f, &(struct object){"z", 0100644, 1, 1, NULL});
		add_trailer(&b, f);
		if (last)
			assert_reads(&b, "c flags=0 mode=100644" ATTRIBUTES
					 "size=4\n  data\n"
					 "a flags=1 mode=100644" ATTRIBUTES
					 "size=0 -> c\n"
					 "b flags=1 mode=100644" ATTRIBUTES
					 "size=0 -> c\n"
					 "z flags=0 mode=100644" ATTRIBUTES
					 "size=0\n");
		else
			assert_reads(&b, "a flags=0 mode=100644" ATTRIBUTES
					 "size=4\n  data\n"
					 "b flags=1 mode=100644" ATTRIBUTES
					 "size=0 -> a\n"
					 "c flags=1 mode=100644" ATTRIBUTES
					 "size=0 -> a\n"
					 "z flags=0 mode=100644" ATTRIBUTES
					 "size=0\n");
	}
}

static void test_an_empty_file_keeps_its_names(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	/* One of its names is outside of the archive, one is there twice. */
	add_object(&b, NEWC, &(struct object){"a", 0100600, 9, 4});
	add_object(&b, NEWC, &(struct object){"b", 0100600, 9, 4});
	add_object(&b, NEWC, &(struct object){"a", 0100600, 9, 4});
	add_trailer(&b, NEWC);
	assert_reads(&b, "a flags=0 mode=100600" ATTRIBUTES "size=0\n"
			 "b flags=1 mode=100600" ATTRIBUTES "size=0 -> a\n");
}

static void test_bad_entries_are_refused(void **state)
{
	static const struct {
		struct object object;
		const char *sentence;
	} bad[] = {
		{{"../x", 0100644, 1, 1}, "leads out of the layer"},
		{{"a/../../x", 0100644, 1, 1}, "leads out of the layer"},
		{{".", 0100644, 1, 1}, "root of the tree"},
		{{"x", 0, 1, 1}, "type that is not known"},
		{{"x", 0120777, 1, 1, ""}, "link target that is empty"},
		{{"x", 0100644, 1, 1, .name_size = 1}, "name without length"},
		{{"xyz", 0100644, 1, 1, .name_size = 3}, "does not end where"},
		{{"x", 0100644, 1, 1, .name_size = 60000}, "no end"},
	};

	for (int f = 0; f < FORMATS; f++)
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			_cleanup_buf_ struct buf b = BUF_INIT;

			add_object(&b, f, &bad[i].object);
			add_trailer(&b, f);
			assert_bad(&b, bad[i].sentence);
		}
}

static void test_what_is_cut_off_is_refused_at_every_byte(void **state)
{
	for (int f = 0; f < FORMATS; f++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		size_t size;

		add_object(&b, f,
			   &(struct object){"f", 0100644, 2, 1, "hello",
					    .check = 532});
		add_trailer(&b, f);
		size = b.size;
		/* Padding behind the trailer is nobody's. */
		for (b.size = 6; b.size < size - 4; b.size++)
			assert_bad(&b, "cut off");
	}
}

static void test_a_wrong_checksum_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	add_object(&b, CRC,
		   &(struct object){"f", 0100644, 2, 1, "hello", .check = 533});
	add_trailer(&b, CRC);
	assert_bad(&b, "another checksum");
}

static void test_a_second_archive_behind_the_first_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (int i = 0; i < 2; i++) {
		add_object(&b, NEWC, &(struct object){"f", 0100644, 2, 1, "x"});
		add_trailer(&b, NEWC);
	}
	assert_bad(&b, "something follows the end");
}

static void test_digits_that_are_none_are_refused(void **state)
{
	static const char bad[] = "@`g /:G8";

	for (int f = ODC; f <= NEWC; f++)
		for (size_t i = 0; i < sizeof(bad) - 1 - (f == NEWC); i++) {
			_cleanup_buf_ struct buf b = BUF_INIT;

			add_object(&b, f,
				   &(struct object){"f", 0100644, 2, 1, "x"});
			add_trailer(&b, f);
			b.data[20] = (uint8_t)bad[i];
			assert_bad(&b, "no number");
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_format_gives_the_same_entries),
		cmocka_unit_test(
			test_names_of_one_file_are_links_wherever_its_data_is),
		cmocka_unit_test(test_an_empty_file_keeps_its_names),
		cmocka_unit_test(test_bad_entries_are_refused),
		cmocka_unit_test(test_what_is_cut_off_is_refused_at_every_byte),
		cmocka_unit_test(test_a_wrong_checksum_is_refused),
		cmocka_unit_test(
			test_a_second_archive_behind_the_first_is_refused),
		cmocka_unit_test(test_digits_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
