/* SPDX-License-Identifier: Apache-2.0 */
/* Packs: what was put in comes out, any zstd reads them, and no damage to the
 * contents or to a frame goes unnoticed or is believed. */
#include "format/chunker.h"
#include "format/pack.h"
#include "util/cleanup.h"
#include "util/fd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <zstd.h>

#include <cmocka.h>

#define N_CHUNKS 5

static const uint32_t sizes[N_CHUNKS] = {1, 512, 70000, CHUNK_MAX, 4096};

struct sample {
	uint8_t *chunks[N_CHUNKS];
	struct pack_codec *codec;
	struct pack_toc toc;
	struct buf pack;
	size_t frames; /* bytes in front of the trailer */
};

static void fill(uint8_t *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		/* Half of it compresses. */
		p[i] = i % 2 ? (uint8_t)(seed >> 16) : 'x';
	}
}

static int setup(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(pack_codec_new(&s->codec), 0);
	for (size_t i = 0; i < N_CHUNKS; i++) {
		size_t start = s->pack.size;
		struct digest d;

		s->chunks[i] = malloc(sizes[i]);
		assert_non_null(s->chunks[i]);
		fill(s->chunks[i], sizes[i], (unsigned int)i);
		assert_int_equal(digest_of(s->chunks[i], sizes[i], &d), 0);
		assert_int_equal(pack_compress(s->codec, s->chunks[i], sizes[i],
					       &s->pack),
				 0);
		assert_int_equal(pack_toc_add(&s->toc, &d,
					      (uint32_t)(s->pack.size - start),
					      sizes[i]),
				 0);
	}
	s->frames = s->pack.size;
	assert_int_equal(pack_toc_encode(&s->toc, &s->pack), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;

	for (size_t i = 0; i < N_CHUNKS; i++)
		free(s->chunks[i]);
	pack_codec_free(s->codec);
	pack_toc_release(&s->toc);
	buf_release(&s->pack);
	free(s);
	return 0;
}

static int decode(const uint8_t *tail, size_t tail_size, uint64_t pack_size,
		  struct err *err)
{
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	size_t need = 0;
	int r;

	*err = ERR_INIT;
	r = pack_toc_decode(tail, tail_size, pack_size, &toc, &need, err);
	if (r < 0)
		assert_int_equal(err->code, r);
	return r;
}

/* Makes the checksum right again after the trailer was changed. */
static void rehash(struct sample *s)
{
	size_t size = s->pack.size - s->frames;
	uint8_t *trailer = s->pack.data + s->frames;
	struct digest d;

	assert_int_equal(digest_of(trailer, size - DIGEST_SIZE, &d), 0);
	memcpy(trailer + size - DIGEST_SIZE, d.bytes, DIGEST_SIZE);
}

static void assert_damaged(struct sample *s)
{
	struct err err;

	rehash(s);
	assert_int_equal(decode(s->pack.data, s->pack.size, s->pack.size, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "pack"));
}

static uint8_t *entry(struct sample *s, size_t i)
{
	return s->pack.data + s->frames + 8 + 48 * i;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put_le64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static void test_contents_come_back(void **state)
{
	struct sample *s = *state;
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	size_t need;

	assert_int_equal(pack_toc_decode(s->pack.data, s->pack.size,
					 s->pack.size, &toc, &need, NULL),
			 0);
	assert_int_equal(toc.n, N_CHUNKS);
	for (size_t i = 0; i < toc.n; i++) {
		const struct pack_entry *a = &s->toc.entries[i];
		const struct pack_entry *b = &toc.entries[i];

		assert_true(digest_equal(&a->chunk, &b->chunk));
		assert_int_equal(a->offset, b->offset);
		assert_int_equal(a->length, b->length);
		assert_int_equal(a->size, b->size);
	}
}

static void test_decoded_contents_can_grow(void **state)
{
	struct sample *s = *state;
	_cleanup_pack_toc_ struct pack_toc toc = {0};
	const struct digest d = {{1}};
	size_t need;

	assert_int_equal(pack_toc_decode(s->pack.data, s->pack.size,
					 s->pack.size, &toc, &need, NULL),
			 0);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(pack_toc_add(&toc, &d, 100, 100), 0);
	assert_int_equal(toc.n, N_CHUNKS + 200);
	assert_int_equal(toc.entries[N_CHUNKS].offset, s->frames);
}

static void test_chunks_come_back(void **state)
{
	struct sample *s = *state;
	_cleanup_free_ uint8_t *out = malloc(CHUNK_MAX);

	assert_non_null(out);
	for (size_t i = 0; i < N_CHUNKS; i++) {
		const struct pack_entry *e = &s->toc.entries[i];

		assert_int_equal(pack_decompress(s->codec,
						 s->pack.data + e->offset,
						 e->length, &e->chunk, out,
						 e->size, NULL),
				 0);
		assert_memory_equal(out, s->chunks[i], e->size);
	}
}

static void test_short_tail_says_how_much_is_needed(void **state)
{
	struct sample *s = *state;
	size_t trailer = PACK_TRAILER_SIZE(N_CHUNKS), need;
	const uint8_t *end = s->pack.data + s->pack.size;
	_cleanup_pack_toc_ struct pack_toc toc = {0};

	assert_int_equal(trailer, s->pack.size - s->frames);
	for (size_t n = 0; n < trailer; n++) {
		need = 0;
		assert_int_equal(pack_toc_decode(end - n, n, s->pack.size, &toc,
						 &need, NULL),
				 PACK_E_SHORT);
		assert_in_range(need, n + 1, trailer);
	}
	assert_int_equal(pack_toc_decode(end - trailer, trailer, s->pack.size,
					 &toc, &need, NULL),
			 0);
	assert_int_equal(toc.n, N_CHUNKS);
}

static void test_any_zstd_decompresses_a_pack(void **state)
{
	struct sample *s = *state;
	char path[] = "/tmp/test-pack.XXXXXX", command[128];
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_close_ int fd = -1;
	size_t at = 0, n;
	FILE *pipe;

	if (system("zstd --version >/dev/null 2>&1") != 0) {
		print_message("zstd(1) is not installed: skipped\n");
		skip();
	}
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, s->pack.data, s->pack.size), 0);
	snprintf(command, sizeof(command), "zstd -dc %s", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	do {
		assert_int_equal(buf_reserve(&out, 65536), 0);
		n = fread(out.data + out.size, 1, 65536, pipe);
		out.size += n;
	} while (n);
	assert_int_equal(pclose(pipe), 0);
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < N_CHUNKS; at += sizes[i++]) {
		assert_true(at + sizes[i] <= out.size);
		assert_memory_equal(out.data + at, s->chunks[i], sizes[i]);
	}
	assert_int_equal(at, out.size);
}

static void test_every_flipped_bit_of_the_trailer_is_noticed(void **state)
{
	struct sample *s = *state;
	struct err err;

	for (size_t i = s->frames; i < s->pack.size; i++)
		for (int bit = 0; bit < 8; bit++) {
			int r;

			s->pack.data[i] ^= (uint8_t)(1 << bit);
			r = decode(s->pack.data, s->pack.size, s->pack.size,
				   &err);
			assert_int_equal(r, -EBADMSG);
			s->pack.data[i] ^= (uint8_t)(1 << bit);
		}
}

static void test_every_truncation_is_noticed(void **state)
{
	struct sample *s = *state;
	struct err err;

	for (size_t n = s->pack.size - 1; n > s->pack.size - 300; n--)
		assert_int_equal(decode(s->pack.data, n, n, &err), -EBADMSG);
	for (size_t n = 0; n < 200; n++)
		assert_int_equal(decode(s->pack.data, n, n, &err), -EBADMSG);
}

static void test_gap_between_frames_is_refused(void **state)
{
	struct sample *s = *state;

	put_le64(entry(s, 1) + 32, s->toc.entries[1].offset + 1);
	assert_damaged(s);
}

static void test_frames_beyond_the_contents_are_refused(void **state)
{
	struct sample *s = *state;

	put_le32(entry(s, 4) + 40, s->toc.entries[4].length + 1);
	assert_damaged(s);
	put_le32(entry(s, 4) + 40, UINT32_MAX);
	assert_damaged(s);
}

static void test_frames_short_of_the_contents_are_refused(void **state)
{
	struct sample *s = *state;

	put_le32(entry(s, 4) + 40, s->toc.entries[4].length - 1);
	assert_damaged(s);
}

static void test_impossible_sizes_are_refused(void **state)
{
	struct sample *s = *state;
	static const uint32_t impossible[] = {0, CHUNK_MAX + 1, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
		put_le32(entry(s, 2) + 44, impossible[i]);
		assert_damaged(s);
	}
}

static void test_frame_longer_than_its_chunk_can_give_is_refused(void **state)
{
	struct sample *s = *state;
	uint32_t length = s->toc.entries[2].length;

	assert_true(ZSTD_compressBound(16) < length);
	put_le32(entry(s, 2) + 44, 16);
	assert_damaged(s);
}

static void test_absurd_count_is_refused_before_it_is_used(void **state)
{
	struct sample *s = *state;
	static const uint32_t counts[] = {0, N_CHUNKS + 1, 1u << 30,
					  UINT32_MAX};
	uint8_t *count = s->pack.data + s->pack.size - 36;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		put_le32(count, counts[i]);
		assert_damaged(s);
		assert_int_equal(decode(count - 12, 48, 200, &err), -EBADMSG);
	}
}

static void test_unknown_version_asks_for_an_upgrade(void **state)
{
	struct sample *s = *state;
	struct err err;

	put_le32(s->pack.data + s->pack.size - 40, 2);
	rehash(s);
	assert_int_equal(decode(s->pack.data, s->pack.size, s->pack.size, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "version 2"));
	assert_non_null(strstr(err.text, "upgrade"));
}

static void test_pack_beyond_its_maximum_is_refused(void **state)
{
	struct sample *s = *state;
	uint64_t size = (uint64_t)PACK_SIZE_MAX + PACK_TRAILER_SIZE(N_CHUNKS);
	struct err err;

	assert_int_equal(decode(s->pack.data, s->pack.size, size + 1, &err),
			 -EBADMSG);
	assert_int_equal(decode(s->pack.data, s->pack.size, UINT64_MAX, &err),
			 -EBADMSG);
	assert_int_equal(decode(s->pack.data, s->pack.size, 100, &err),
			 -EINVAL);
}

static void test_pack_without_chunks_is_not_made(void **state)
{
	const struct pack_toc none = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(pack_toc_encode(&none, &b), -EINVAL);
	assert_int_equal(b.size, 0);
}

static void test_wrong_size_is_not_compressed(void **state)
{
	struct sample *s = *state;
	size_t before = s->pack.size;

	assert_int_equal(pack_compress(s->codec, "", 0, &s->pack), -EINVAL);
	assert_int_equal(
		pack_compress(s->codec, s->chunks[3], CHUNK_MAX + 1, &s->pack),
		-EINVAL);
	assert_int_equal(s->pack.size, before);
}

/* Refused without a byte written behind size. */
static void assert_chunk_refused(struct sample *s, const void *frame,
				 size_t length, const struct digest *chunk,
				 uint32_t size)
{
	uint8_t *out = malloc(MAX(size, 1u));
	char hex[DIGEST_HEX_SIZE];
	struct err err = ERR_INIT;

	assert_non_null(out);
	assert_int_equal(pack_decompress(s->codec, frame, length, chunk, out,
					 size, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, digest_hex(chunk, hex)));
	free(out);
}

static void test_damaged_frames_are_refused(void **state)
{
	struct sample *s = *state;
	const struct pack_entry *e = &s->toc.entries[1];
	uint8_t *frame = s->pack.data + e->offset;

	for (size_t i = 0; i < e->length; i++)
		assert_chunk_refused(s, frame, i, &e->chunk, e->size);
	assert_chunk_refused(s, frame, e->length + 1, &e->chunk, e->size);
	assert_chunk_refused(s, frame, e->length, &e->chunk, e->size + 1);
	assert_chunk_refused(s, frame, e->length, &e->chunk, e->size - 1);
	assert_chunk_refused(s, frame, e->length, &e->chunk, 0);
	assert_chunk_refused(s, frame, e->length, &s->toc.entries[0].chunk,
			     e->size);
}

/* Bits that mean nothing may change (RFC 8878's unused bit), bytes may not. */
static void test_changed_frame_never_gives_other_bytes(void **state)
{
	struct sample *s = *state;
	const struct pack_entry *e = &s->toc.entries[1];
	uint8_t *frame = s->pack.data + e->offset;
	_cleanup_free_ uint8_t *out = malloc(e->size);
	size_t refused = 0;

	assert_non_null(out);
	for (size_t i = 0; i < e->length * 8; i++) {
		int r;

		frame[i / 8] ^= (uint8_t)(1 << i % 8);
		r = pack_decompress(s->codec, frame, e->length, &e->chunk, out,
				    e->size, NULL);
		frame[i / 8] ^= (uint8_t)(1 << i % 8);
		if (r == 0)
			assert_memory_equal(out, s->chunks[1], e->size);
		else
			refused++;
	}
	assert_true(refused > e->length * 7);
}

static void test_frame_that_lies_about_its_size_is_refused(void **state)
{
	struct sample *s = *state;
	_cleanup_free_ uint8_t *zeros = calloc(1, CHUNK_MAX);
	uint8_t frame[1024];
	struct digest d = {{0}};
	size_t n;

	/* A bomb: one mebibyte in a few bytes, sold as a small chunk. */
	assert_non_null(zeros);
	n = ZSTD_compress(frame, sizeof(frame), zeros, CHUNK_MAX, 1);
	assert_false(ZSTD_isError(n));
	assert_chunk_refused(s, frame, n, &d, 100);
	assert_chunk_refused(s, frame, n, &d, CHUNK_MAX);
}

static void test_foreign_frames_are_refused(void **state)
{
	struct sample *s = *state;
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0,
					    0,	  0,	7,    0,    0, 0};
	static const uint8_t legacy[] = {0x27, 0xb5, 0x2f, 0xfd, 1, 2,
					 3,    4,    5,	   6,	 7, 8};
	/* No content size: window descriptor, then a raw block of "a". */
	static const uint8_t sizeless[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00,
					   0x00, 0x09, 0x00, 0x00, 'a'};
	struct digest d;

	assert_int_equal(digest_of("a", 1, &d), 0);
	assert_chunk_refused(s, skippable, sizeof(skippable), &d, 1);
	assert_chunk_refused(s, legacy, sizeof(legacy), &d, 1);
	assert_chunk_refused(s, sizeless, sizeof(sizeless), &d, 1);
}

static void test_two_frames_for_one_chunk_are_refused(void **state)
{
	struct sample *s = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t length;

	assert_int_equal(pack_compress(s->codec, s->chunks[1], 512, &b), 0);
	length = b.size;
	assert_int_equal(pack_compress(s->codec, s->chunks[0], 1, &b), 0);
	assert_true(b.size > length);
	assert_chunk_refused(s, b.data, b.size, &s->toc.entries[1].chunk, 512);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_contents_come_back),
		CASE(test_decoded_contents_can_grow),
		CASE(test_chunks_come_back),
		CASE(test_short_tail_says_how_much_is_needed),
		CASE(test_any_zstd_decompresses_a_pack),
		CASE(test_every_flipped_bit_of_the_trailer_is_noticed),
		CASE(test_every_truncation_is_noticed),
		CASE(test_gap_between_frames_is_refused),
		CASE(test_frames_beyond_the_contents_are_refused),
		CASE(test_frames_short_of_the_contents_are_refused),
		CASE(test_impossible_sizes_are_refused),
		CASE(test_frame_longer_than_its_chunk_can_give_is_refused),
		CASE(test_absurd_count_is_refused_before_it_is_used),
		CASE(test_unknown_version_asks_for_an_upgrade),
		CASE(test_pack_beyond_its_maximum_is_refused),
		CASE(test_pack_without_chunks_is_not_made),
		CASE(test_wrong_size_is_not_compressed),
		CASE(test_damaged_frames_are_refused),
		CASE(test_changed_frame_never_gives_other_bytes),
		CASE(test_frame_that_lies_about_its_size_is_refused),
		CASE(test_foreign_frames_are_refused),
		CASE(test_two_frames_for_one_chunk_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
