/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a manifest, a NUL, and a config. What is accepted must encode
 * and decode again to the same version. A second round makes the manifest refer
 * to the config, else a fuzzer would never get past the digest.
 */
#include "fuzz.h"

#include "format/manifest.h"
#include "util/cleanup.h"

#include <jansson.h>

bool fuzz_refused;

static void check(struct version *v)
{
	_cleanup_(version_freep) struct version *again = NULL;
	_cleanup_buf_ struct buf m = BUF_INIT, c = BUF_INIT;
	struct digest d;

	if (v->n_layers > VERSION_LAYERS_MAX ||
	    v->n_labels > VERSION_LABELS_MAX || !v->volume || !v->sequence)
		abort();
	for (size_t i = 1; i < v->n_labels; i++)
		if (strcmp(v->labels[i - 1].key, v->labels[i].key) >= 0)
			abort();
	if (version_encode(v, &m, &c, &d, NULL) < 0 ||
	    version_decode(m.data, m.size, c.data, c.size, &again, NULL) < 0)
		abort();
	if (strcmp(v->message, again->message) != 0 ||
	    v->created != again->created || v->added != again->added ||
	    v->n_labels != again->n_labels)
		abort();
}

static void try(const void *manifest, size_t manifest_size, const void *config,
		size_t config_size)
{
	_cleanup_(version_freep) struct version *v = NULL;
	struct err err = ERR_INIT;
	int r;

	r = version_decode(manifest, manifest_size, config, config_size, &v,
			   &err);
	if (r < 0 && !err.code)
		abort();
	if (r < 0)
		fuzz_refused = true;
	else
		check(v);
}

static void try_with_right_digest(const void *manifest, size_t manifest_size,
				  const void *config, size_t config_size)
{
	_cleanup_free_ char *text = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	json_t *m, *c;

	m = json_loadb(manifest, manifest_size, 0, NULL);
	c = json_object_get(m, "config");
	if (c && digest_of(config, config_size, &d) == 0) {
		json_object_set_new(
			c, "digest",
			json_sprintf("sha256:%s", digest_hex(&d, hex)));
		json_object_set_new(c, "size",
				    json_integer((json_int_t)config_size));
		text = json_dumps(m, JSON_COMPACT);
	}
	json_decref(m);
	if (text)
		try(text, strlen(text), config, config_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t manifest_size = nul ? (size_t)(nul - data) : size;
	const uint8_t *config = nul ? nul + 1 : data + size;
	size_t config_size = (size_t)(data + size - config);
	bool refused;

	fuzz_refused = false;
	try(data, manifest_size, config, config_size);
	refused = fuzz_refused;
	try_with_right_digest(data, manifest_size, config, config_size);
	fuzz_refused = refused;
	return 0;
}
