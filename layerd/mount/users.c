/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc is the only source that knows all namespaces. Processes come and go
 * while it is read: what cannot be read any more is skipped.
 */
#include "mount/users.h"

#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void release_place(struct mount_place *place)
{
	free(place->path);
	free(place->root);
	free(place->options);
}

void mount_places_release(struct mount_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		release_place(&places->items[i]);
	free(places->items);
	*places = (struct mount_places){0};
}

/* Takes over what place points to, also when it fails. */
static int add_place(struct mount_places *places, struct mount_place *place)
{
	struct mount_place *items;

	items = reallocarray(places->items, places->n + 1, sizeof(*items));
	if (items)
		places->items = items;
	if (!items || !place->path || !place->root || !place->options) {
		release_place(place);
		return -ENOMEM;
	}
	items[places->n++] = *place;
	return 0;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape_octal(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
					(s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = 0;
}

static bool is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]);
}

static uint64_t parse_attributes(const char *options)
{
	static const struct {
		const char *name;
		uint64_t attribute;
	} known[] = {
		{"ro", MOUNT_ATTR_RDONLY},
		{"nosuid", MOUNT_ATTR_NOSUID},
		{"nodev", MOUNT_ATTR_NODEV},
		{"noexec", MOUNT_ATTR_NOEXEC},
		{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
		{"nodiratime", MOUNT_ATTR_NODIRATIME},
		{"noatime", MOUNT_ATTR_NOATIME},
		{"relatime", MOUNT_ATTR_RELATIME},
	};
	bool atime = false;
	uint64_t found = 0;

	while (*options) {
		size_t n = strcspn(options, ",");

		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			if (strlen(known[i].name) != n ||
			    strncmp(options, known[i].name, n) != 0)
				continue;
			found |= known[i].attribute;
			atime |= known[i].attribute == MOUNT_ATTR_NOATIME ||
				 known[i].attribute == MOUNT_ATTR_RELATIME;
		}
		options += n + (options[n] == ',');
	}
	/* The kernel has no word for it. */
	return atime ? found : found | MOUNT_ATTR_STRICTATIME;
}

/* The fields of mountinfo, proc_pid_mountinfo(5), as far as they are used. */
enum {
	FIELD_DEVICE = 2,
	FIELD_ROOT,
	FIELD_PATH,
	FIELD_OPTIONS,
	FIELDS
};

/* Behind " - ", the type and the source, which rest begins before. */
static char *file_system_options(char *rest)
{
	char *options = strstr(rest, "- ");

	for (int i = 0; options && i < 3; i++) {
		options = strchr(options, ' ');
		options += options != NULL;
	}
	if (!options)
		return strdup("");
	options[strcspn(options, "\n")] = 0;
	unescape_octal(options);
	return strdup(options);
}

static dev_t parse_device(const char *field)
{
	char *end;
	unsigned long major_number = strtoul(field, &end, 10);

	return makedev((unsigned int)major_number,
		       (unsigned int)strtoul(*end ? end + 1 : end, NULL, 10));
}

static int read_mountinfo(dev_t device, pid_t pid, const char *skip,
			  struct mount_places *places)
{
	_cleanup_free_ char *line = NULL;
	char name[64], want[32];
	size_t size = 0;
	int r = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/mountinfo", (int)pid);
	snprintf(want, sizeof(want), "%u:%u", major(device), minor(device));
	f = fopen(name, "re");
	if (!f)
		return -ESRCH;
	while (r == 0 && getline(&line, &size, f) > 0) {
		char *save = NULL;
		char *field[FIELDS] = {strtok_r(line, " \n", &save)};
		struct mount_place place = {.pid = pid};

		for (size_t i = 1; i < FIELDS; i++)
			field[i] = strtok_r(NULL, " \n", &save);
		if (!field[FIELDS - 1] ||
		    (device && strcmp(field[FIELD_DEVICE], want) != 0))
			continue;
		unescape_octal(field[FIELD_ROOT]);
		unescape_octal(field[FIELD_PATH]);
		if (skip && is_below(field[FIELD_PATH], skip))
			continue;
		place.device = parse_device(field[FIELD_DEVICE]);
		place.path = strdup(field[FIELD_PATH]);
		place.root = strdup(field[FIELD_ROOT]);
		place.attributes = parse_attributes(field[FIELD_OPTIONS]);
		place.options = file_system_options(save);
		r = add_place(places, &place);
	}
	if (r == 0 && ferror(f))
		r = -ESRCH;
	(void)fclose(f);
	return r;
}

/* The inode numbers of namespaces that were read to their end. */
struct seen {
	ino_t *items;
	size_t n;
};

static bool was_seen(const struct seen *seen, ino_t namespace)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->items[i] == namespace)
			return true;
	return false;
}

/* A namespace counts only when it was read: this process may end any moment,
 * and another one lead there. */
static int visit_task(dev_t device, pid_t pid, const char *skip,
		      struct seen *seen, struct mount_places *places)
{
	size_t before = places->n;
	char name[64];
	struct stat st;
	ino_t *items;
	int r;

	snprintf(name, sizeof(name), "/proc/%d/ns/mnt", (int)pid);
	if (stat(name, &st) < 0)
		return -ESRCH;
	if (was_seen(seen, st.st_ino))
		return 0;
	items = reallocarray(seen->items, seen->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	seen->items = items;
	r = read_mountinfo(device, pid, skip, places);
	for (size_t i = before; i < places->n; i++)
		places->items[i].namespace = st.st_ino;
	while (r < 0 && places->n > before)
		release_place(&places->items[--places->n]);
	if (r == 0)
		items[seen->n++] = st.st_ino;
	return r;
}

static pid_t parse_pid(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return *end || pid <= 0 ? 0 : (pid_t)pid;
}

/* A process whose main thread has ended lives on in others. */
static int visit_process(dev_t device, pid_t pid, const char *skip,
			 struct seen *seen, struct mount_places *places)
{
	int r = visit_task(device, pid, skip, seen, places);
	char name[64];
	struct dirent *d;
	DIR *tasks;

	if (r != -ESRCH)
		return r;
	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	tasks = opendir(name);
	while (tasks && r == -ESRCH && (d = readdir(tasks))) {
		pid_t task = parse_pid(d->d_name);

		if (task)
			r = visit_task(device, task, skip, seen, places);
	}
	if (tasks)
		(void)closedir(tasks);
	return r == -ESRCH ? 0 : r;
}

int mount_places_find(dev_t device, pid_t first, const char *skip,
		      struct mount_places *ret, struct err *err)
{
	_cleanup_mount_places_ struct mount_places places = {0};
	struct seen seen = {0};
	struct dirent *d;
	DIR *proc;
	int r = 0;

	proc = opendir("/proc");
	if (!proc)
		return err_errno(err, errno, "cannot read /proc");
	if (first > 0)
		r = visit_process(device, first, skip, &seen, &places);
	if (r == 0)
		r = visit_process(device, getpid(), skip, &seen, &places);
	while (r == 0 && (errno = 0, d = readdir(proc))) {
		pid_t pid = parse_pid(d->d_name);

		if (pid)
			r = visit_process(device, pid, skip, &seen, &places);
	}
	if (r < 0)
		r = err_oom(err);
	else if (errno)
		r = err_errno(err, errno, "cannot read /proc");
	(void)closedir(proc);
	free(seen.items);
	if (r < 0)
		return r;
	*ret = places;
	places = (struct mount_places){0};
	return 0;
}

static bool link_on_device(pid_t pid, const char *link, dev_t device)
{
	char name[600];
	struct statx st;
	int n = snprintf(name, sizeof(name), "/proc/%d/%s", (int)pid, link);

	if (n < 0 || n >= (int)sizeof(name))
		return false;
	/* It may be on a network file system whose server does not answer. */
	return statx(AT_FDCWD, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		     STATX_TYPE, &st) == 0 &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) == device;
}

static bool has_open_file(pid_t pid, const char *folder, dev_t device)
{
	char name[600];
	bool found = false;
	struct dirent *d;
	DIR *dir;

	snprintf(name, sizeof(name), "/proc/%d/%s", (int)pid, folder);
	dir = opendir(name);
	if (!dir)
		return false;
	while (!found && (d = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", folder, d->d_name);
		found = d->d_name[0] != '.' &&
			link_on_device(pid, name, device);
	}
	(void)closedir(dir);
	return found;
}

static const char *how_used(pid_t pid, dev_t device)
{
	if (link_on_device(pid, "cwd", device))
		return "working directory";
	if (link_on_device(pid, "root", device))
		return "root directory";
	if (link_on_device(pid, "exe", device))
		return "running program";
	if (has_open_file(pid, "fd", device))
		return "open file";
	if (has_open_file(pid, "map_files", device))
		return "mapped file";
	return NULL;
}

static void describe(pid_t pid, const char *how, bool first, struct buf *b)
{
	_cleanup_close_ int fd = -1;
	char name[64], comm[32] = "?";
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/comm", (int)pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
	if (n > 0) {
		comm[n] = 0;
		comm[strcspn(comm, "\n")] = 0;
	}
	/* A shorter list, when memory is short, is still a list. */
	(void)buf_printf(b, "%s%s (pid %d, %s)", first ? "" : ", ", comm,
			 (int)pid, how);
}

int mount_users_describe(dev_t device, struct buf *b)
{
	struct dirent *d;
	int n = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		return 0;
	while ((d = readdir(proc))) {
		pid_t pid = parse_pid(d->d_name);
		const char *how = pid ? how_used(pid, device) : NULL;

		if (!how)
			continue;
		if (n < 5)
			describe(pid, how, n == 0, b);
		n++;
	}
	(void)closedir(proc);
	if (n > 5)
		(void)buf_printf(b, " and %d more", n - 5);
	return n;
}
