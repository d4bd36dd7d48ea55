/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version in memory. What must hold for each: the limits of manifest.h, text
 * that is UTF-8 (JSON has no other), labels sorted by key and each key once, so
 * that equal versions encode to equal bytes.
 */
#include "format/manifest.h"

#include "format/manifest-keys.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/quote.h"

#include <errno.h>
#include <time.h>

int version_new(struct version **ret)
{
	_cleanup_(version_freep) struct version *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->message = strdup("");
	v->consistency = strdup("");
	if (!v->message || !v->consistency)
		return -ENOMEM;
	*ret = TAKE_PTR(v);
	return 0;
}

struct version *version_free(struct version *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < v->n_labels; i++) {
		free(v->labels[i].key);
		free(v->labels[i].value);
	}
	free(v->labels);
	free(v->layers);
	free(v->volume);
	free(v->message);
	free(v->consistency);
	free(v);
	return NULL;
}

void version_freep(struct version **v)
{
	*v = version_free(*v);
}

int version_add_layer(struct version *v, const struct version_layer *layer)
{
	struct version_layer *layers;

	if (v->n_layers >= VERSION_LAYERS_MAX)
		return -E2BIG;
	layers = reallocarray(v->layers, v->n_layers + 1, sizeof(*layers));
	if (!layers)
		return -ENOMEM;
	v->layers = layers;
	v->layers[v->n_layers++] = *layer;
	return 0;
}

static int check_key(const char *key, struct err *err)
{
	char quoted[QUOTE_SIZE];
	size_t n = strlen(key);

	if (!n || n > VERSION_LABEL_KEY_MAX ||
	    key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789._/-")])
		return err_set(
			err, EINVAL,
			"%s is not a label's key: it has %zu bytes, 1 to "
			"%d of a-z, 0-9, '.', '_', '/' and '-' are "
			"allowed; a valid label is \"run/id=42\"",
			quote_text(key, quoted), n, VERSION_LABEL_KEY_MAX);
	return 0;
}

static int check_value(const char *key, const char *value, struct err *err)
{
	size_t n = strlen(value);

	if (n > VERSION_LABEL_VALUE_MAX)
		return err_set(err, EINVAL,
			       "the value of label \"%s\" has %zu bytes, at "
			       "most %d are allowed; keep it in a file of the "
			       "volume instead",
			       key, n, VERSION_LABEL_VALUE_MAX);
	if (!utf8_valid(value, n))
		return err_set(err, EINVAL,
			       "the value of label \"%s\" is not UTF-8; encode "
			       "it, for instance in base64",
			       key);
	return 0;
}

int version_label_check(const char *key, const char *value, struct err *err)
{
	int r = check_key(key, err);

	return r < 0 || !value ? r : check_value(key, value, err);
}

/* Where key stands among the labels, or belongs. */
static size_t find_label(const struct version *v, const char *key,
			 bool *ret_found)
{
	size_t i = 0;
	int order = 1;

	for (; i < v->n_labels; i++) {
		order = strcmp(v->labels[i].key, key);
		if (order >= 0)
			break;
	}
	*ret_found = i < v->n_labels && order == 0;
	return i;
}

int version_add_label(struct version *v, const char *key, const char *value,
		      struct err *err)
{
	_cleanup_free_ char *k = NULL, *val = NULL;
	struct label *labels;
	bool found;
	size_t at;
	int r;

	r = version_label_check(key, value, err);
	if (r < 0)
		return r;
	at = find_label(v, key, &found);
	if (found)
		return err_set(err, EEXIST,
			       "label \"%s\" is given twice; leave one out",
			       key);
	if (v->n_labels >= VERSION_LABELS_MAX)
		return err_set(err, EINVAL,
			       "label \"%s\" is one too many: a version has at "
			       "most %d labels",
			       key, VERSION_LABELS_MAX);
	k = strdup(key);
	val = strdup(value);
	labels = reallocarray(v->labels, v->n_labels + 1, sizeof(*labels));
	if (labels)
		v->labels = labels;
	if (!k || !val || !labels)
		return err_oom(err);
	memmove(&labels[at + 1], &labels[at],
		(v->n_labels - at) * sizeof(*labels));
	labels[at] = (struct label){.key = TAKE_PTR(k), .value = TAKE_PTR(val)};
	v->n_labels++;
	return 0;
}

int version_set_message(struct version *v, const char *message, struct err *err)
{
	size_t n = strlen(message);
	char *copy;

	if (n > VERSION_MESSAGE_MAX)
		return err_set(
			err, EINVAL,
			"the message has %zu bytes, at most %u are "
			"allowed; shorten it, or keep the text in a file "
			"of the volume",
			n, VERSION_MESSAGE_MAX);
	if (!utf8_valid(message, n))
		return err_set(
			err, EINVAL,
			"the message is not valid UTF-8; convert it, for "
			"instance with iconv(1)");
	copy = strdup(message);
	if (!copy)
		return err_oom(err);
	free(v->message);
	v->message = copy;
	return 0;
}

int created_format(int64_t seconds, uint32_t nsec,
		   char text[static CREATED_SIZE])
{
	char all[64];
	time_t t = (time_t)seconds;
	struct tm tm;
	int n;

	if (nsec > 999999999 || !gmtime_r(&t, &tm) || tm.tm_year < -1900 ||
	    tm.tm_year > 9999 - 1900)
		return -EINVAL;
	n = snprintf(all, sizeof(all), "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ",
		     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		     tm.tm_min, tm.tm_sec, nsec);
	if (n != CREATED_SIZE - 1)
		return -EINVAL;
	memcpy(text, all, CREATED_SIZE);
	return 0;
}

static int digits(const char *s, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + s[i] - '0';
	}
	return v;
}

int created_parse(const char *text, int64_t *ret_seconds, uint32_t *ret_nsec)
{
	char again[CREATED_SIZE];
	struct tm tm;
	int64_t seconds;
	int nsec;

	if (strlen(text) != CREATED_SIZE - 1)
		return -EINVAL;
	tm = (struct tm){
		.tm_year = digits(text, 4) - 1900,
		.tm_mon = digits(text + 5, 2) - 1,
		.tm_mday = digits(text + 8, 2),
		.tm_hour = digits(text + 11, 2),
		.tm_min = digits(text + 14, 2),
		.tm_sec = digits(text + 17, 2),
	};
	nsec = digits(text + 20, 9);
	if (nsec < 0)
		return -EINVAL;
	seconds = timegm(&tm);
	/* timegm() takes the 31st of February; the text tells. */
	if (created_format(seconds, (uint32_t)nsec, again) < 0 ||
	    strcmp(text, again) != 0)
		return -EINVAL;
	*ret_seconds = seconds;
	*ret_nsec = (uint32_t)nsec;
	return 0;
}

bool consistency_valid(const char *word)
{
	size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz-");

	return !word[n] && n <= 32;
}
