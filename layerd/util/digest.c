/* SPDX-License-Identifier: Apache-2.0 */
#include "util/digest.h"

#include "util/cleanup.h"

#include <errno.h>
#include <openssl/evp.h>

struct hasher {
	EVP_MD_CTX *ctx;
};

char *digest_hex(const struct digest *d, char hex[static DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		hex[2 * i] = digits[d->bytes[i] >> 4];
		hex[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	hex[DIGEST_HEX_SIZE - 1] = 0;
	return hex;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(const char *s, struct digest *ret)
{
	struct digest d;

	if (strncmp(s, "sha256:", 7) == 0)
		s += 7;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = nibble(s[2 * i]);
		int low = high < 0 ? -1 : nibble(s[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		d.bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (s[2 * DIGEST_SIZE])
		return -EINVAL;
	*ret = d;
	return 0;
}

int digest_of(const void *data, size_t size, struct digest *ret)
{
	if (!EVP_Digest(data, size, ret->bytes, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	return 0;
}

int hasher_new(struct hasher **ret)
{
	struct hasher *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || !EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL)) {
		hasher_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

struct hasher *hasher_free(struct hasher *h)
{
	if (h) {
		EVP_MD_CTX_free(h->ctx);
		free(h);
	}
	return NULL;
}

void hasher_freep(struct hasher **h)
{
	*h = hasher_free(*h);
}

/*
 * An initialised SHA-256 context holds all the memory it needs: restarting,
 * adding and finishing cannot fail.
 */
void hasher_reset(struct hasher *h)
{
	(void)EVP_DigestInit_ex(h->ctx, NULL, NULL);
}

void hasher_add(struct hasher *h, const void *data, size_t size)
{
	(void)EVP_DigestUpdate(h->ctx, data, size);
}

int hasher_copy(struct hasher *to, const struct hasher *from)
{
	/* OpenSSL 3 copies into newly allocated memory. */
	return EVP_MD_CTX_copy_ex(to->ctx, from->ctx) == 1 ? 0 : -ENOMEM;
}

void hasher_finish(struct hasher *h, struct digest *ret)
{
	(void)EVP_DigestFinal_ex(h->ctx, ret->bytes, NULL);
}
