/* SPDX-License-Identifier: Apache-2.0 */
#include "util/cleanup.h"
#include "util/mount-options.h"

#include <errno.h>
#include <libmount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

static struct mount_options parsed(const char *list)
{
	struct mount_options o = MOUNT_OPTIONS_INIT;
	struct err err = ERR_INIT;

	if (mount_options_parse(list, false, &o, &err) < 0)
		fail_msg("%s: %s", list, err.text);
	return o;
}

static void refused(const char *list, const char *quoted)
{
	struct mount_options o = MOUNT_OPTIONS_INIT;
	struct err err = ERR_INIT;

	if (mount_options_parse(list, false, &o, &err) != -EINVAL ||
	    !strstr(err.text, quoted))
		fail_msg("%s: %s", list, err.text);
}

static void test_options_become_attributes(void **state)
{
	struct mount_options o = parsed("ro,nosuid,nodev,noexec,noatime");

	assert_true(o.readonly);
	assert_int_equal(o.set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME);
	assert_int_equal(o.clear, MOUNT_ATTR__ATIME);
	o = parsed("");
	assert_false(o.readonly);
	assert_int_equal(o.set, 0);
	assert_int_equal(o.clear, 0);
}

static void test_the_last_of_a_contradiction_counts(void **state)
{
	assert_false(parsed("ro,rw").readonly);
	assert_true(parsed("rw,ro").readonly);
	assert_int_equal(parsed("noexec,exec").set, 0);
	assert_int_equal(parsed("exec,noexec").set, MOUNT_ATTR_NOEXEC);
	assert_int_equal(parsed("user,exec").set,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	assert_int_equal(parsed("noatime,strictatime").set,
			 MOUNT_ATTR_STRICTATIME);
	assert_int_equal(parsed("noatime,relatime").set, 0);
	assert_int_equal(parsed("noatime,relatime").clear, MOUNT_ATTR__ATIME);
}

static void test_what_is_for_others_has_no_effect(void **state)
{
	struct mount_options o =
		parsed("defaults,noauto,_netdev,nofail,x-systemd.automount,"
		       "x-systemd.idle-timeout=1min,X-mount.mkdir=0755,"
		       "comment=\"a, ro, b\",nouser,async,loud,rshared");

	assert_false(o.readonly);
	assert_int_equal(o.set, 0);
	assert_int_equal(o.clear, 0);
}

static void test_what_is_not_known_is_named(void **state)
{
	refused("ro,colour=red,rw", "'colour'");
	refused("upperdir=/etc", "'upperdir'");
	refused("x", "'x'");
	refused("RO", "'RO'");
	refused("nosuid\n", "'nosuid\n'");
	refused("sync", "'sync' cannot be had");
	refused("remount,ro", "'remount' cannot be had");
	refused("a=\"b", "'a=\"b'");
}

static void test_sloppy_passes_over_what_is_not_known(void **state)
{
	struct mount_options o = MOUNT_OPTIONS_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(mount_options_parse("colour=red,ro", true, &o, &err),
			 0);
	assert_true(o.readonly);
	/* Known, and not what was asked for. */
	assert_int_equal(mount_options_parse("bind", true, &o, &err), -EINVAL);
}

/* One that mount(8) passes on, or that stands in an fstab, must not come as a
 * surprise. */
static void test_every_option_of_libmount_is_known(void **state)
{
	static const int ids[] = {MNT_LINUX_MAP, MNT_USERSPACE_MAP};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		for (const struct libmnt_optmap *m =
			     mnt_get_builtin_optmap(ids[i]);
		     m->name; m++) {
			struct mount_options o = MOUNT_OPTIONS_INIT;
			struct err err = ERR_INIT;
			char name[64];

			/* "name[=]", "name=%d" */
			(void)snprintf(name, sizeof(name), "%.*s",
				       (int)strcspn(m->name, "[="), m->name);
			/* Of block devices alone. */
			if (strncmp(name, "verity.", 7) == 0)
				continue;
			if (mount_options_parse(name, false, &o, &err) < 0 &&
			    !strstr(err.text, "cannot be had"))
				fail_msg("%s: %s", m->name, err.text);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_become_attributes),
		cmocka_unit_test(test_the_last_of_a_contradiction_counts),
		cmocka_unit_test(test_what_is_for_others_has_no_effect),
		cmocka_unit_test(test_what_is_not_known_is_named),
		cmocka_unit_test(test_sloppy_passes_over_what_is_not_known),
		cmocka_unit_test(test_every_option_of_libmount_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
