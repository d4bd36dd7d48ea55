/* SPDX-License-Identifier: Apache-2.0 */
#include "util/mount-options.h"

#include "util/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <libmount.h>
#include <pthread.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum effect {
	IGNORE,
	READONLY,
	WRITABLE,
	SET,
	UNSET,
	ATIME, /* one of the values in MOUNT_ATTR__ATIME */
	REFUSE,
};

#define OF_OWNERS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define OF_USERS (OF_OWNERS | MOUNT_ATTR_NOEXEC)

/* Of what mount(8) describes as independent of the file system. */
static const struct row {
	const char *name;
	enum effect effect;
	uint64_t attributes;
} rows[] = {
	{"ro", READONLY, 0},
	{"rw", WRITABLE, 0},
	{"nosuid", SET, MOUNT_ATTR_NOSUID},
	{"suid", UNSET, MOUNT_ATTR_NOSUID},
	{"nodev", SET, MOUNT_ATTR_NODEV},
	{"dev", UNSET, MOUNT_ATTR_NODEV},
	{"noexec", SET, MOUNT_ATTR_NOEXEC},
	{"exec", UNSET, MOUNT_ATTR_NOEXEC},
	{"nosymfollow", SET, MOUNT_ATTR_NOSYMFOLLOW},
	{"symfollow", UNSET, MOUNT_ATTR_NOSYMFOLLOW},
	{"nodiratime", SET, MOUNT_ATTR_NODIRATIME},
	{"diratime", UNSET, MOUNT_ATTR_NODIRATIME},
	{"noatime", ATIME, MOUNT_ATTR_NOATIME},
	{"strictatime", ATIME, MOUNT_ATTR_STRICTATIME},
	/* Linux' default since 2.6.30, so all that undo others are this one. */
	{"relatime", ATIME, MOUNT_ATTR_RELATIME},
	{"atime", ATIME, MOUNT_ATTR_RELATIME},
	{"norelatime", ATIME, MOUNT_ATTR_RELATIME},
	{"nostrictatime", ATIME, MOUNT_ATTR_RELATIME},

	{"user", SET, OF_USERS},
	{"users", SET, OF_USERS},
	{"owner", SET, OF_OWNERS},
	{"group", SET, OF_OWNERS},

	{"defaults", IGNORE, 0},
	{"auto", IGNORE, 0},
	{"noauto", IGNORE, 0},
	{"nouser", IGNORE, 0},
	{"nousers", IGNORE, 0},
	{"noowner", IGNORE, 0},
	{"nogroup", IGNORE, 0},
	{"nofail", IGNORE, 0},
	{"_netdev", IGNORE, 0},
	{"comment", IGNORE, 0},
	{"helper", IGNORE, 0},
	{"uhelper", IGNORE, 0},
	{"async", IGNORE, 0},
	{"nomand", IGNORE, 0},
	{"noiversion", IGNORE, 0},
	{"nolazytime", IGNORE, 0},
	{"silent", IGNORE, 0},
	{"loud", IGNORE, 0},
	/* mount(8) sets these itself, once the mount is there. */
	{"shared", IGNORE, 0},
	{"rshared", IGNORE, 0},
	{"slave", IGNORE, 0},
	{"rslave", IGNORE, 0},
	{"private", IGNORE, 0},
	{"rprivate", IGNORE, 0},
	{"unbindable", IGNORE, 0},
	{"runbindable", IGNORE, 0},

	{"sync", REFUSE, 0},
	{"dirsync", REFUSE, 0},
	{"mand", REFUSE, 0},
	{"iversion", REFUSE, 0},
	{"lazytime", REFUSE, 0},
	{"remount", REFUSE, 0},
	{"bind", REFUSE, 0},
	{"rbind", REFUSE, 0},
	{"move", REFUSE, 0},
	{"loop", REFUSE, 0},
	{"offset", REFUSE, 0},
	{"sizelimit", REFUSE, 0},
	{"encryption", REFUSE, 0},
};

static const struct row *find_row(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == size &&
		    memcmp(rows[i].name, name, size) == 0)
			return &rows[i];
	return NULL;
}

static void apply(const struct row *row, struct mount_options *options)
{
	switch (row->effect) {
	case READONLY:
	case WRITABLE:
		options->readonly = row->effect == READONLY;
		break;
	case SET:
		options->set |= row->attributes;
		break;
	case UNSET:
		options->set &= ~row->attributes;
		break;
	case ATIME:
		options->clear = MOUNT_ATTR__ATIME;
		options->set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		options->set |= row->attributes;
		break;
	case IGNORE:
	case REFUSE:
		break;
	}
}

static int take(const char *name, size_t size, bool sloppy,
		struct mount_options *options, struct err *err)
{
	const struct row *row = find_row(name, size);

	/* "x-" and, for mount(8) alone, "X-": comments by convention. */
	if (size >= 2 && (*name == 'x' || *name == 'X') && name[1] == '-')
		return 0;
	if (!row && sloppy)
		return 0;
	if (!row)
		return err_set(err, EINVAL,
			       "'%.*s' is not a mount option; see "
			       "mount.layer(8) for those there are",
			       (int)MIN(size, 100), name);
	if (row->effect == REFUSE)
		return err_set(err, EINVAL,
			       "the mount option '%s' cannot be had of a "
			       "volume; see mount.layer(8) for those there are",
			       row->name);
	apply(row, options);
	return 0;
}

/* libmount takes what is behind an open quote for nothing at all. */
static bool is_quoted_well(const char *list)
{
	size_t n = 0;

	for (; *list; list++)
		n += *list == '"';
	return n % 2 == 0;
}

/* Loaded when it is needed: with the libraries that it needs itself, it would
 * make every command start by a third slower. */
static struct {
	pthread_once_t once;
	__typeof__(mnt_optstr_next_option) *next_option;
	char problem[256];
} libmount = {.once = PTHREAD_ONCE_INIT};

static void load_libmount(void)
{
	void *library = dlopen("libmount.so.1", RTLD_NOW | RTLD_LOCAL);
	void *symbol = NULL;

	if (library)
		symbol = dlsym(library, "mnt_optstr_next_option");
	if (symbol)
		memcpy(&libmount.next_option, &symbol, sizeof(symbol));
	else
		snprintf(libmount.problem, sizeof(libmount.problem), "%s",
			 dlerror());
}

int mount_options_parse(const char *list, bool sloppy,
			struct mount_options *options, struct err *err)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *name, *value;
	size_t size, value_size;
	int r;

	if (!copy)
		return err_oom(err);
	pthread_once(&libmount.once, load_libmount);
	if (!libmount.next_option)
		return err_set(err, ELIBACC,
			       "mount options cannot be read: %s; install the "
			       "package libmount1",
			       libmount.problem);
	r = is_quoted_well(list) ? 0 : -EINVAL;
	/* Commas within double quotes separate nothing. */
	while (r == 0 && (r = libmount.next_option(&rest, &name, &size, &value,
						   &value_size)) == 0) {
		r = take(name, size, sloppy, options, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return err_set(err, EINVAL,
			       "'%s' is not a list of mount options, which "
			       "are separated by commas",
			       list);
	return 0;
}
