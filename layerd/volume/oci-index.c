/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/oci-index.h"

#include "util/cleanup.h"
#include "util/json.h"

#include <errno.h>
#include <string.h>

#define MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define KEY_REF "org.opencontainers.image.ref.name"
#define NAME_SIZE (sizeof("sha256:") + DIGEST_HEX_SIZE)

static const char *get_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int oci_layout_check(const struct buf *text, const char *to, struct err *err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	int r = json_parse_object(text->data, text->size, &o, NULL);

	if (r == -ENOMEM)
		return err_oom(err);
	if (strncmp(get_text(o, "imageLayoutVersion"), "1.", 2) == 0)
		return 0;
	return err_set(err, EBADMSG,
		       "%s is an OCI image layout of a version that is not "
		       "known; choose another directory",
		       to);
}

static json_t *make_index(void)
{
	return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
			 MEDIA_INDEX, "manifests");
}

static char *name_digest(const struct oci_image *image,
			 char name[static NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	(void)snprintf(name, NAME_SIZE, "sha256:%s",
		       digest_hex(image->digest, hex));
	return name;
}

static json_t *make_descriptor(const struct oci_image *image)
{
	char name[NAME_SIZE];

	return json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType",
			 MEDIA_MANIFEST, "digest", name_digest(image, name),
			 "size", (json_int_t)image->size, "annotations",
			 KEY_REF, image->ref);
}

enum {
	OCI_NEW,     /* the image is to be added */
	OCI_NAMED,   /* it is there and has the ref alone now */
	OCI_SETTLED, /* nothing is to be changed */
};

/* Takes the ref from others; what is left to do. */
static int settle(json_t *manifests, const struct oci_image *image, bool force,
		  const char *to, struct err *err)
{
	char name[NAME_SIZE];
	json_t *d;
	size_t i;
	bool found = false, taken = false;

	json_array_foreach (manifests, i, d) {
		json_t *annotations = json_object_get(d, "annotations");

		if (strcmp(get_text(annotations, KEY_REF), image->ref) != 0)
			continue;
		if (strcmp(get_text(d, "digest"), name_digest(image, name)) ==
		    0) {
			found = true;
			continue;
		}
		if (!force)
			return err_set(err, EEXIST,
				       "%s has another image named %s, %.19s; "
				       "--force gives the name to this one",
				       to, image->ref, get_text(d, "digest"));
		taken = true;
		(void)json_object_del(annotations, KEY_REF);
		if (json_object_size(annotations) == 0)
			(void)json_object_del(d, "annotations");
	}
	if (!found)
		return OCI_NEW;
	return taken ? OCI_NAMED : OCI_SETTLED;
}

int oci_index_add(const struct buf *before, const struct oci_image *image,
		  bool force, const char *to, struct buf *after,
		  struct err *err)
{
	_cleanup_(json_decrefp) json_t *index = NULL;
	json_t *manifests;
	int r = 0;

	if (before->size)
		r = json_parse_object(before->data, before->size, &index, NULL);
	else
		index = make_index();
	if (r == -ENOMEM || (r == 0 && !index))
		return err_oom(err);
	manifests = json_object_get(index, "manifests");
	if (json_integer_value(json_object_get(index, "schemaVersion")) != 2 ||
	    !json_is_array(manifests))
		return err_set(err, EBADMSG,
			       "%s/index.json is not the index of an OCI image "
			       "layout; it is left as it is",
			       to);
	r = settle(manifests, image, force, to, err);
	if (r < 0 || r == OCI_SETTLED)
		return MIN(r, 0);
	if ((r == OCI_NEW &&
	     json_array_append_new(manifests, make_descriptor(image)) < 0) ||
	    buf_add_json(after, index, JSON_COMPACT) < 0)
		return err_oom(err);
	return 0;
}
