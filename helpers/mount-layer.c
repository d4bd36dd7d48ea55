/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.layer: what mount(8) runs for `mount -t layer my-data@3 /mnt` and for
 * lines of fstab(5). Its command line and exit statuses are those that mount(8)
 * documents under "External helpers" and "Exit status".
 */
#include "proto/attach.h"
#include "proto/client.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/escape.h"
#include "util/mount-options.h"
#include "util/release.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

enum status {
	STATUS_USAGE = 1, /* incorrect invocation or permissions */
	STATUS_SYSTEM = 2,
	STATUS_FAILURE = 32,
};

static const char help[] =
	"Usage: mount.layer REFERENCE DIRECTORY [-sfnv] [-N NAMESPACE]\n"
	"                   [-o OPTIONS] [-t layer]\n"
	"\n"
	"Mounts a volume or a version of layerd; mount(8) runs it:\n"
	"\n"
	"  mount -t layer my-data /mnt             writable\n"
	"  mount -t layer my-data@3 /mnt           a version, read-only\n"
	"  mount -t layer my-data /mnt -o ro,noexec\n"
	"\n"
	"  -o OPTIONS    as mount(8) describes them, see mount.layer(8)\n"
	"  -s            pass over options that are not known\n"
	"  -f            check, but do not mount\n"
	"  -v            say what was done\n"
	"  -N NAMESPACE  mount there: a process or a file in /proc/PID/ns\n"
	"  -n            accepted: there is no mtab to be written\n"
	"\n"
	"umount(8) unmounts; a writable volume keeps what was written.\n";

struct request {
	const char *reference;
	const char *directory;
	const char *namespace;
	struct mount_options options;
	bool sloppy;
	bool fake;
	bool verbose;
};

static int check_words(int n, char **words, struct request *ret,
		       struct err *err)
{
	if (n != 2)
		return err_set(err, EINVAL,
			       "a reference and a directory are wanted; see "
			       "mount.layer --help");
	ret->reference = words[0];
	ret->directory = words[1];
	if (*words[0] == '/')
		return err_set(err, EINVAL,
			       "%s is a path, not a volume; mount(8) makes one "
			       "of a volume's name when the working directory "
			       "has a file of that name: call it elsewhere, or "
			       "with --no-canonicalize",
			       words[0]);
	if (!utf8_valid(words[0], strlen(words[0])))
		return err_set(err, EINVAL,
			       "the name of a volume has only a-z, 0-9, '.', "
			       "'_' and '-'");
	return 0;
}

static int check_type(const char *type, struct err *err)
{
	if (strcmp(type, "layer") == 0)
		return 0;
	return err_set(err, EINVAL, "%s is not the type layer", type);
}

/* Takes one option; lists of mount options are gathered, since -s may stand
 * behind them. */
static int take_option(int c, struct request *ret, struct buf *lists,
		       struct err *err)
{
	switch (c) {
	case 's':
		ret->sloppy = true;
		return 0;
	case 'f':
		ret->fake = true;
		return 0;
	case 'v':
		ret->verbose = true;
		return 0;
	case 'n':
		return 0;
	case 'N':
		ret->namespace = optarg;
		return 0;
	case 'o':
		return buf_printf(lists, "%s,", optarg) < 0 ? err_oom(err) : 0;
	case 't':
		return check_type(optarg, err);
	default:
		return err_set(err, EINVAL,
			       "wrong usage; see mount.layer --help");
	}
}

#define PARSE_DONE 1

/* PARSE_DONE: help or the version was asked for, and printed. */
static int parse(int argc, char **argv, struct request *ret, struct err *err)
{
	static const struct option longs[] = {
		{"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'}, {0}};
	_cleanup_buf_ struct buf lists = BUF_INIT;
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "sfnvN:o:t:hV", longs,
					  NULL)) >= 0) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				fputs(help, stdout);
			else
				printf("mount.layer %s\n", release_text);
			return PARSE_DONE;
		}
		r = take_option(c, ret, &lists, err);
	}
	if (r == 0)
		r = check_words(argc - optind, argv + optind, ret, err);
	if (r == 0 && !buf_str(&lists))
		return err_oom(err);
	if (r == 0)
		r = mount_options_parse(buf_str(&lists), ret->sloppy,
					&ret->options, err);
	return r;
}

/* The file of a namespace that is given as one, or as a process. */
static int enter_namespace(const char *namespace, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	bool pid = namespace[strspn(namespace, "0123456789")] == 0;

	if (asprintf(&path, pid ? "/proc/%s/ns/mnt" : "%s", namespace) < 0)
		return err_oom(err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return err_errno(err, errno,
				 "cannot enter the mount namespace %s", path);
	return 0;
}

/*
 * `mount -a` leaves alone what is mounted. It goes by the source, which of a
 * volume that was given by its name is a version's: "my-data" became
 * "my-data@3". So the second call must find that all is done.
 */
static bool is_mounted(const struct request *q)
{
	_cleanup_free_ char *source = NULL;
	size_t n = strlen(q->reference);
	bool newest = !strpbrk(q->reference, "@:");
	struct statfs fs;

	if (statfs(q->directory, &fs) < 0 ||
	    fs.f_type != OVERLAYFS_SUPER_MAGIC ||
	    attach_source(q->directory, &source) < 0)
		return false;
	if (strncmp(source, q->reference, n) != 0 ||
	    (source[n] && !(newest && source[n] == '@')))
		return false;
	return ((fs.f_flags & ST_RDONLY) != 0) ==
	       (q->options.readonly || !newest);
}

/* mount(8) shows no progress. */
static int on_progress(json_t *parameters, void *ctx)
{
	(void)parameters;
	(void)ctx;
	return 0;
}

static void print_result(const struct request *q, const char *path,
			 const json_t *reply)
{
	bool readonly = json_is_true(json_object_get(reply, "readonly"));
	bool resumed = json_is_true(json_object_get(reply, "resumed"));

	printf("mount.layer: %s mounted on %s, %s%s\n", q->reference, path,
	       readonly ? "read-only" : "writable",
	       resumed ? ", with what its session had not sealed" : "");
}

/* The daemon is looked for, or started, where the caller is. */
static int mount_layer(const struct request *q, struct err *err)
{
	_cleanup_(client_freep) struct client *client = NULL;
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	json_t *parameters;
	int r = 0;

	if (!q->fake)
		r = client_connect(&client, true, err);
	if (r == 0 && q->namespace)
		r = enter_namespace(q->namespace, err);
	if (r == 0 && is_mounted(q)) {
		if (q->verbose)
			printf("mount.layer: %s is mounted on %s already\n",
			       q->reference, q->directory);
		return 0;
	}
	if (r == 0)
		r = attach_check(q->directory, &path, err);
	if (r < 0 || q->fake)
		return r;
	parameters = attach_parameters(q->reference, path, &q->options);
	if (!parameters)
		return err_oom(err);
	r = client_call(client, "Mount", parameters, -1, on_progress, NULL,
			&reply, &fd, err);
	if (r == 0)
		r = attach_reply(reply, &fd, q->reference, path, &q->options,
				 err);
	if (r == 0 && q->verbose)
		print_result(q, path, reply);
	return r;
}

static enum status status_of(int code)
{
	switch (-code) {
	case EINVAL:
	case EPERM:
	case EACCES:
		return STATUS_USAGE;
	case ENOMEM:
		return STATUS_SYSTEM;
	default:
		return STATUS_FAILURE;
	}
}

int main(int argc, char **argv)
{
	struct request request = {.options = MOUNT_OPTIONS_INIT};
	struct err err = ERR_INIT;
	int r = parse(argc, argv, &request, &err);

	if (r == 0)
		r = mount_layer(&request, &err);
	if (r < 0)
		fprintf(stderr, "mount.layer: %s\n",
			err.code ? err.text : strerror(-r));
	return r < 0 ? (int)status_of(r) : 0;
}
