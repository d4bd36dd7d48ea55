/* SPDX-License-Identifier: Apache-2.0 */

/* The catalog's entries, and going through them page by page. */

#include "catalog/entries.h"
#include "volume-fixture.h"

static struct digest number(uint64_t n)
{
	struct digest d;

	assert_int_equal(digest_of(&n, sizeof(n), &d), 0);
	return d;
}

static struct catalog_entry make_entry(uint64_t sequence, uint64_t version,
				       int64_t created, uint32_t nsec)
{
	struct catalog_entry e = {.sequence = sequence,
				  .version = number(version),
				  .created = created,
				  .nsec = nsec,
				  .message = strdup("a message"),
				  .has_parent = version > 7,
				  .parent = number(version - 1),
				  .origin = strdup("origin"),
				  .number = 9,
				  .consistency = strdup("settled"),
				  .changed = 1,
				  .added = 2,
				  .size = 3};

	assert_true(e.message && e.origin && e.consistency);
	assert_int_equal(buf_add(&e.labels, "key\0value", 10), 0);
	return e;
}

static void add(struct fixture *f, const char *volume, uint64_t sequence,
		uint64_t version, int64_t created, uint32_t nsec)
{
	struct catalog_entry e = make_entry(sequence, version, created, nsec);

	assert_ok(f, catalog_add_entries(f->host->catalog, volume, sequence,
					 &e.version, &e, 1, &f->err));
	catalog_entry_release(&e);
}

static void test_listed_number_comes_and_goes_with_the_entries(void **state)
{
	_cleanup_catalog_page_ struct catalog_page page = {0};
	struct fixture *f = *state;
	struct catalog *c = f->host->catalog;
	struct digest head, want = number(8);
	uint64_t sequence;

	assert_int_equal(catalog_get_listed(c, "v", &sequence, &head, &f->err),
			 -ENOENT);
	assert_string_equal(f->err.text, "");
	add(f, "v", 1, 7, 100, 5);
	add(f, "v", 2, 8, 100, 6);
	add(f, "w", 1, 7, 100, 5);
	assert_ok(f, catalog_get_listed(c, "v", &sequence, &head, &f->err));
	assert_int_equal(sequence, 2);
	assert_true(digest_equal(&head, &want));
	assert_ok(f, catalog_forget_entries(c, "v", &f->err));
	assert_int_equal(catalog_get_listed(c, "v", &sequence, &head, &f->err),
			 -ENOENT);
	assert_ok(f, catalog_next_entries(c, NULL, INT64_MIN, INT64_MAX, NULL,
					  &page, &f->err));
	assert_int_equal(page.n, 1);
	assert_string_equal(page.items[0].volume, "w");
	assert_string_equal(page.items[0].message, "a message");
	assert_int_equal(page.items[0].labels.size, 10);
	assert_memory_equal(page.items[0].labels.data, "key\0value", 10);
}

static void test_entry_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct catalog_entry e = {0};
	struct digest parent = number(7);

	add(f, "v", 1, 7, 100, 5);
	add(f, "v", 2, 8, -100, 6);
	assert_ok(f, catalog_get_entry(f->host->catalog, "v", 2, &e, &f->err));
	assert_int_equal(e.sequence, 2);
	assert_int_equal(e.created, -100);
	assert_int_equal(e.nsec, 6);
	assert_true(e.has_parent && digest_equal(&e.parent, &parent));
	assert_string_equal(e.origin, "origin");
	assert_int_equal(e.number, 9);
	assert_string_equal(e.consistency, "settled");
	assert_int_equal(e.changed, 1);
	assert_int_equal(e.added, 2);
	assert_int_equal(e.size, 3);
	catalog_entry_release(&e);
	assert_ok(f, catalog_get_entry(f->host->catalog, "v", 1, &e, &f->err));
	assert_false(e.has_parent);
	catalog_entry_release(&e);
	assert_int_equal(
		catalog_get_entry(f->host->catalog, "v", 3, &e, &f->err),
		-ENOENT);
	assert_string_equal(f->err.text, "");
}

/* Whether a is told before b. */
static bool is_before(const struct catalog_entry *a,
		      const struct catalog_entry *b)
{
	int r = memcmp(a->version.bytes, b->version.bytes, DIGEST_SIZE);

	if (a->created != b->created)
		return a->created > b->created;
	if (a->nsec != b->nsec)
		return a->nsec > b->nsec;
	if (r == 0)
		r = strcmp(a->volume, b->volume);
	return r ? r > 0 : a->sequence > b->sequence;
}

static size_t count(struct fixture *f, const char *volume, int64_t since,
		    int64_t until)
{
	struct catalog_page last = {0}, page = {0};
	size_t n = 0;

	do {
		catalog_page_release(&last);
		last = page;
		page.n = 0;
		assert_ok(f, catalog_next_entries(
				     f->host->catalog, volume, since, until,
				     last.n ? &last.items[last.n - 1] : NULL,
				     &page, &f->err));
		for (size_t i = 0; i < page.n; i++) {
			const struct catalog_entry *before =
				i	 ? &page.items[i - 1]
				: last.n ? &last.items[last.n - 1]
					 : NULL;

			assert_true(!before ||
				    is_before(before, &page.items[i]));
			assert_true(page.items[i].created >= since &&
				    page.items[i].created <= until);
		}
		n += page.n;
	} while (page.n);
	catalog_page_release(&last);
	return n;
}

static void test_pages_have_every_entry_once_and_in_order(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	struct fixture *f = *state;

	/* Many at one time, and several volumes with the same versions. */
	for (uint64_t i = 0; i < 300; i++)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			add(f, names[k], i + 1, i, (int64_t)(i / 200) - 1,
			    (uint32_t)(i / 100));
	assert_int_equal(count(f, NULL, INT64_MIN, INT64_MAX), 900);
	assert_int_equal(count(f, NULL, -1, -1), 600);
	assert_int_equal(count(f, NULL, 0, 9), 300);
	assert_int_equal(count(f, NULL, 1, 9), 0);
	assert_int_equal(count(f, "b", INT64_MIN, INT64_MAX), 300);
	assert_int_equal(count(f, "b", -1, -1), 200);
	assert_int_equal(count(f, "d", INT64_MIN, INT64_MAX), 0);
}

struct places {
	char text[64];
};

static int add_place(const char *volume, uint64_t sequence, void *ctx)
{
	struct places *p = ctx;
	size_t n = strlen(p->text);

	snprintf(p->text + n, sizeof(p->text) - n, "%s@%d ", volume,
		 (int)sequence);
	return 0;
}

static void test_places_of_a_version_come_by_name(void **state)
{
	struct fixture *f = *state;
	struct places places = {0};
	struct digest version = number(7);

	add(f, "w", 1, 7, 100, 5);
	add(f, "v", 9, 7, 100, 5);
	add(f, "v", 10, 7, 100, 5);
	add(f, "v", 11, 8, 100, 6);
	assert_ok(f, catalog_each_entry_of(f->host->catalog, &version,
					   add_place, &places, &f->err));
	assert_string_equal(places.text, "v@9 v@10 w@1 ");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_listed_number_comes_and_goes_with_the_entries),
		T(test_entry_comes_back_as_it_was),
		T(test_pages_have_every_entry_once_and_in_order),
		T(test_places_of_a_version_come_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
