/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FastCDC (Xia et al., USENIX ATC 2016) with a gear hash of 64 bits.
 *
 * The table, the masks and the sizes are constants of the format: a boundary
 * that moves makes no stored layer wrong, but nothing would be found again in
 * what is stored already. What must hold: boundaries are a function of the
 * bytes since the last one, however they are split over calls.
 *
 *   bytes since the boundary              what is done with each
 *   0        .. MIN - WINDOW              nothing
 *   MIN - WINDOW .. MIN                   hashed
 *   MIN      .. AVERAGE                   hashed, cut where MASK_SMALL is 0
 *   AVERAGE  .. MAX                       hashed, cut where MASK_LARGE is 0
 *   MAX                                   cut
 */
#include "format/chunker.h"

#include "util/cleanup.h"

/* The hash shifts by one bit a byte, so a byte is forgotten after 64. Starting
 * that far before the minimum makes every decision one about 64 bytes. */
#define WINDOW 64u

/*
 * Normalised chunking, level 2: 2^20 bytes between cuts before the average is
 * reached, 2^16 after, which together give 292 KiB on random data. The upper
 * bits know most of the window; every second one, because the next position's
 * hash is this one shifted.
 */
#define MASK_SMALL 0x5555555555000000ULL
#define MASK_LARGE 0x5555555500000000ULL

/* The first 8 bytes, little-endian, of SHA-256("layerd gear" followed by the
 * byte). */
static const uint64_t gear[256] = {
	0xccf1dd6b1f7825a7ULL, 0xddb50e169c4fbb12ULL, 0x1c2a678d105ff0fdULL,
	0xe7016b4130ce37cfULL, 0x47672b1a48d38fffULL, 0x70248dae9494b698ULL,
	0x809a8dfa0ae7c3a3ULL, 0x803aa7633ccd5350ULL, 0xe0653a56c0d64670ULL,
	0x1d58b5b82310216cULL, 0xc81a49325e22b12fULL, 0x2187da81e8e7d9fbULL,
	0xd5d432026e45fbd4ULL, 0xf0bf77847b627cbfULL, 0x97e69ae14407e713ULL,
	0xca6e3ac2d9af4958ULL, 0x3cc919792f0c18aaULL, 0x3be3ed6d921953cdULL,
	0xfd5a812e3f0d8c98ULL, 0xa08fa641e785b726ULL, 0xb4ec7b82850debf5ULL,
	0x691fbd214116923fULL, 0xecc04ff0b7da5281ULL, 0xd9b6ecb0a2fef03aULL,
	0x085c74ef26626c0fULL, 0xe19e218234fc25c6ULL, 0xb5b260b4c7928b7aULL,
	0x4acb132d384eb8bcULL, 0x8d60faff6542dc9aULL, 0x9ec44654401e18c9ULL,
	0xa639793af24d3005ULL, 0x9f29a1ecab00c2cfULL, 0x22a384de2b2e48e9ULL,
	0x259b91f9ed2e7373ULL, 0xe7c21aca1016c0d6ULL, 0xbe3d2809b75bc480ULL,
	0x7974e498ac32075dULL, 0xc04bbb94c1e5cb49ULL, 0x7019c564e45a203aULL,
	0x4eefb548fd5fbc2aULL, 0x4bfbaafc8b0fe528ULL, 0x5cc272ae31d5e768ULL,
	0x8353429361ce8457ULL, 0x6322c01aa88782a1ULL, 0x5e32bc301beabc0dULL,
	0x68a8e1c50eecaa0eULL, 0xa3b9e941fcfb23bfULL, 0x8226b3f92cc24d15ULL,
	0xdb26f6b0d30d1e74ULL, 0xbe7cff5e75f2b4c8ULL, 0x84ac3bb153639ac7ULL,
	0x57dd1ae95df9b770ULL, 0xd3652a1f4272d8f2ULL, 0x7cf52b29b8b9cba6ULL,
	0xfb6931036e6f1cacULL, 0xdf9c042b11eec962ULL, 0x88877c16ad07a648ULL,
	0x865fa17ace5159b0ULL, 0x290b03e5fdf4607cULL, 0x26744b5ef34d2cbdULL,
	0xcbae08f22ae8be4dULL, 0x91aad8923672c977ULL, 0xdbacb57cbd6275f2ULL,
	0x6521770064167c63ULL, 0x7eff0e153abe166dULL, 0x4a86cc0b9f312910ULL,
	0x4b9f64412805c4feULL, 0xd7ceab11fb3eacbbULL, 0x68d2dcc0bb5a3291ULL,
	0xd06a9836845f0accULL, 0xe657e457ef88875cULL, 0x3c7bc9f5b5083936ULL,
	0x22166802ababa6a2ULL, 0x44e7b93e440a9a37ULL, 0x646c2e4e340f0873ULL,
	0x548fc57ffd817143ULL, 0xe00e267bb0bd2e84ULL, 0x4a2804e096bcbecaULL,
	0x38cf7f275b26c9f7ULL, 0x75a6b788b18462e5ULL, 0x508dddf405967583ULL,
	0x4529a42c9153dac6ULL, 0xd33acda98bcfd709ULL, 0x1626fb8bc7a6b1ebULL,
	0x3cfef180919e703dULL, 0x4760cae3e2131630ULL, 0xbd87f3e4f4befac9ULL,
	0x28a732e96134f281ULL, 0xf5f217128684b638ULL, 0xb4c061c943c8a081ULL,
	0xca9ad10d9f8c9316ULL, 0xe65d6616466eab3bULL, 0x03aadba45fc1855cULL,
	0xd52816a44d309faeULL, 0xaf046e03cab523e0ULL, 0x2cb250887688976eULL,
	0xf932ce95acd6dc9cULL, 0xc53718ad3a0f34b2ULL, 0x124ada693021c73fULL,
	0xbb990fd3539cfcb0ULL, 0x622e236f31b0206dULL, 0xb1932f8656fbf7e6ULL,
	0x942eaa9285b629b8ULL, 0xe42dd8083a7c747bULL, 0x65f2757df3d136feULL,
	0xfc4ff83188a1b0d7ULL, 0xae7777567cb14667ULL, 0x71105b3661e8d5f8ULL,
	0x6b1ffc5ec2125807ULL, 0xf486ff0d6cb1198dULL, 0x2904a46876224665ULL,
	0xcd3ed73db5db4438ULL, 0xe9169212f7642794ULL, 0xa34b46688e439c67ULL,
	0x8f816184fdd4824eULL, 0x0aedd8d111670a18ULL, 0x2aa003efbb0513deULL,
	0xd795da88f9f9b03fULL, 0x4e3263389f6b6530ULL, 0xf62302c60143e015ULL,
	0x5b7dd8282107f394ULL, 0xd38eb5b68ecf78d7ULL, 0x645c0d3701bf9c55ULL,
	0x4bf0c55fe1602e82ULL, 0xe47b77b89ee7bc5eULL, 0xb10389b6d413a5aeULL,
	0xc4aeb75b01a261e9ULL, 0xac0b18872880ae81ULL, 0x2fab68640d928f93ULL,
	0xf6ef2c2b21dadc03ULL, 0xfa2ad28167d6b43aULL, 0x11c5a9e3731531d6ULL,
	0x917e03f46ac9bf2eULL, 0xb479e29504dd4897ULL, 0xae22e2b69573a91aULL,
	0x52069fcb5eac8e6dULL, 0x2eafc29b8b382c00ULL, 0x86a03e4ec69a31a1ULL,
	0x126a752c7fc33400ULL, 0xaca5bdf5956ae2b7ULL, 0xd11291bdccf7457dULL,
	0x7bb874ac5a9b84bcULL, 0x645991ab7031ad99ULL, 0xb3e78e7fadf825aeULL,
	0x80b8d4ae4bba90d5ULL, 0xcae2da6076f0f521ULL, 0xfb015cf4ff7b3074ULL,
	0x20a4f341e170f0b0ULL, 0x16d1e50fb02db652ULL, 0xa8f00f293e5f1d51ULL,
	0xae14409f2c4e08b7ULL, 0x7c1db38c0d18a8ccULL, 0xca7c3ffab0ef476fULL,
	0xc973311bbbfd6ab6ULL, 0x1a36f7c39aac6dceULL, 0xc453989a4997cd90ULL,
	0x85989bdb193d9f2fULL, 0x614fd3c5d306bc2fULL, 0x5726cd629f26d462ULL,
	0xd1aceb3d0d7341cbULL, 0xc553e5476f4c5bffULL, 0xc2f4bbc878224f61ULL,
	0xa348ba9b400afda3ULL, 0x291aac651a6c85c5ULL, 0x57d507ab0ebde98dULL,
	0x278a4a98a49978a1ULL, 0x89d2e5517160e68eULL, 0xe7484b40c3cff711ULL,
	0xddf4ec5e2e3614ecULL, 0x9103b4fa76773027ULL, 0x07209959fb3dab3dULL,
	0x6517558d19a86142ULL, 0x5d79b1a1a807ae09ULL, 0x1af2ecc401515294ULL,
	0x2cb374b4ada24786ULL, 0xb9d134045d5edcf7ULL, 0xfa7745159c314754ULL,
	0x61066eec3115e418ULL, 0x9cb7a637261b67eaULL, 0x8eeab3168a79a120ULL,
	0x01c1f48ab22cbbbdULL, 0x235c4ee6ee4e9a4bULL, 0x3ff6287eba41dae7ULL,
	0x1072e3a891901850ULL, 0x49473de4de1ddd10ULL, 0x6cff420dc913c351ULL,
	0xaef9f618611f4361ULL, 0xeff0570b1aac76d3ULL, 0x9f321ef1020dba80ULL,
	0x6ff057e202d5d505ULL, 0x79a090b44bdd202cULL, 0x6480b3f5ff22ecdcULL,
	0x53fdce859166c107ULL, 0xef643d86d4f4d477ULL, 0xe450438e0559f50fULL,
	0x2cc7e1f979c611adULL, 0xe649290af323143bULL, 0x05fa1209edce1240ULL,
	0x006cc2a688c3f39fULL, 0x5ab34402a6b752afULL, 0xf2c628f29becffcaULL,
	0x255b1b61bd070c27ULL, 0x4bea54651e5a4a59ULL, 0x4e49eaef76fc2872ULL,
	0x6f185a7362bbd9afULL, 0xb930bb4ecd9458f6ULL, 0x999e50499f6b9a69ULL,
	0xfe34288c149d27caULL, 0x9767e409b7a77b19ULL, 0x4c00003153972378ULL,
	0xfd5915c92a7f2b2fULL, 0xd0e880ed105c0a3dULL, 0x25e98ae6cfa93946ULL,
	0x0f793c9c5b022edaULL, 0x708b0c297d56ff48ULL, 0x054692decd34456cULL,
	0x0178b154715174adULL, 0x9ccdfdcd73762f41ULL, 0xf0ed81438809b028ULL,
	0xdc9998d9081298d8ULL, 0x724cb70925283653ULL, 0x9487c3d074218bb5ULL,
	0xc7e876b9db5b0160ULL, 0x184fb240ad64a7b3ULL, 0x1fd8075ae64917d1ULL,
	0x588750ebe2fc0776ULL, 0x966b6d446791d1abULL, 0x45bd4aeeaacd6d07ULL,
	0xf3e42b8f4e45eb49ULL, 0xdc28e734be3fd76eULL, 0xe270a68723c4eefcULL,
	0xe8dc788d37b0ca15ULL, 0x0cf27eb32a049cb6ULL, 0x2277b8a310781392ULL,
	0xf631f61f8c2dcb15ULL, 0x779d0303c9a84511ULL, 0x6f396da2fe1a357dULL,
	0x00573a29a19190a4ULL, 0xcabc07dc4d3c6673ULL, 0x4cd9852e474823fdULL,
	0xa158175a9b6eafa2ULL, 0x1a0b9b408a79c1afULL, 0x45f35f4d5d3b8c82ULL,
	0xe2cac6263af3f079ULL, 0x375e8d67a7639d67ULL, 0x060e023c5cda7d0dULL,
	0xd2c5eca6f59ff296ULL, 0x8aefa4df789cf301ULL, 0x73eddcd349f44c6aULL,
	0x21a1d5ab9b45eab5ULL, 0xde04d7b682336ba3ULL, 0x85e40b8d73726fe0ULL,
	0x12f46f45d9f50d6bULL, 0x5d6392f57f6343bbULL, 0x72ac7ad9bce08d7cULL,
	0x5acb556e16afa8efULL,
};

static uint64_t roll(uint64_t hash, uint8_t byte)
{
	return (hash << 1) + gear[byte];
}

static size_t warm(struct chunker *c, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		c->hash = roll(c->hash, p[i]);
	return n;
}

/* The bytes up to and including the first that makes a cut, or all n. */
static size_t scan(struct chunker *c, const uint8_t *p, size_t n, uint64_t mask,
		   bool *ret_cut)
{
	uint64_t hash = c->hash;
	size_t i = 0;

	/* Four hashes before the state is stored: a third faster, and the slow
	 * loop finds again which of them cut. */
	for (; i + 4 <= n; i += 4) {
		uint64_t h1 = roll(hash, p[i]);
		uint64_t h2 = roll(h1, p[i + 1]);
		uint64_t h3 = roll(h2, p[i + 2]);
		uint64_t h4 = roll(h3, p[i + 3]);

		if (!(h1 & mask) || !(h2 & mask) || !(h3 & mask) ||
		    !(h4 & mask))
			break;
		hash = h4;
	}
	for (; i < n; i++) {
		hash = roll(hash, p[i]);
		if (!(hash & mask)) {
			*ret_cut = true;
			return i + 1;
		}
	}
	c->hash = hash;
	return n;
}

/* How many of the bytes from done to size lie before stage of the chunk. */
static size_t until(const struct chunker *c, uint32_t stage, size_t done,
		    size_t size)
{
	size_t length = c->length + done;

	return length < stage ? MIN(stage - length, size - done) : 0;
}

size_t chunker_feed(struct chunker *c, const uint8_t *data, size_t size,
		    bool *ret_cut)
{
	bool cut = false;
	size_t n;

	n = until(c, CHUNK_MIN - WINDOW, 0, size);
	n += warm(c, data + n, until(c, CHUNK_MIN, n, size));
	n += scan(c, data + n, until(c, CHUNK_AVERAGE, n, size), MASK_SMALL,
		  &cut);
	if (!cut)
		n += scan(c, data + n, until(c, CHUNK_MAX, n, size), MASK_LARGE,
			  &cut);
	c->length += (uint32_t)n;
	if (c->length >= CHUNK_MAX)
		cut = true;
	if (cut)
		*c = CHUNKER_INIT;
	*ret_cut = cut;
	return n;
}
