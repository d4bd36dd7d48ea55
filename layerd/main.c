/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layerd: options, start, the life of the process. Everything else is in the
 * library, which the tests link too.
 *
 *   host_open()     state directory, lock, store, cache, catalog
 *   listen_open()   the socket, or systemd's
 *   server_run()    until SIGTERM or SIGINT; mounts stay
 *
 * With --daemonize the exit status AUTOSTART_RUNNING, and silence, mean that
 * another daemon serves the state directory already.
 */
#include "proto/autostart.h"
#include "server/janitor.h"
#include "server/listen.h"
#include "server/notify.h"
#include "server/server.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/paths.h"
#include "util/release.h"
#include "volume/host.h"
#include "volume/mounted.h"
#include "volume/mounting.h"
#include "volume/session.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char help[] =
	"Usage: layerd [--foreground|--daemonize] [OPTIONS]\n"
	"\n"
	"Serves volumes: mounts, seals and forks them. layerctl starts it by\n"
	"itself when none is running.\n"
	"\n"
	"  --foreground   stay in the foreground and log to standard error "
	"(the\n"
	"                 default; for systemd and other supervisors)\n"
	"  --daemonize    return once the socket answers, and go on in the\n"
	"                 background, logging to RUNTIME/layerd.log\n"
	"  --log-level LEVEL  debug, info (the default), notice, warning "
	"or error\n"
	"  --debug        the same as --log-level debug\n"
	"  --version      print the version\n"
	"  --help         print this text\n"
	"\n"
	"Environment:\n"
	"  LAYERD_STATE_DIR    default /var/lib/layerd; not on overlayfs\n"
	"  LAYERD_RUNTIME_DIR  default /run/layerd\n"
	"  LAYERD_LOG_LEVEL    as --log-level, which counts more\n"
	"\n"
	"Signals:\n"
	"  SIGTERM, SIGINT     end it; what is mounted stays mounted\n";

struct options {
	bool daemonize;
};

static int set_level(const char *what, const char *name)
{
	enum log_level level;

	if (log_level_parse(name, &level) < 0) {
		fprintf(stderr,
			"layerd: %s is debug, info, notice, warning or error, "
			"not \"%s\"\n",
			what, name);
		return -EINVAL;
	}
	log_set_level(level);
	return 0;
}

/* 0, or the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option table[] = {
		{"foreground", no_argument, NULL, 'f'},
		{"daemonize", no_argument, NULL, 'd'},
		{"debug", no_argument, NULL, 'D'},
		{"log-level", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *level = getenv("LAYERD_LOG_LEVEL");
	int c;

	if (level && *level && set_level("LAYERD_LOG_LEVEL", level) < 0)
		return 3;
	while ((c = getopt_long(argc, argv, "hV", table, NULL)) >= 0) {
		switch (c) {
		case 'f':
			ret->daemonize = false;
			break;
		case 'd':
			ret->daemonize = true;
			break;
		case 'D':
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case 'l':
			if (set_level("--log-level", optarg) < 0)
				return 3;
			break;
		case 'V':
			printf("layerd %s\n", release_text);
			return 1;
		case 'h':
			fputs(help, stdout);
			return 1;
		default:
			fputs("Try \"layerd --help\".\n", stderr);
			return 3;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "layerd: unexpected argument \"%s\"\n",
			argv[optind]);
		return 3;
	}
	return 0;
}

/* Deep trees keep a descriptor a level open. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* With the lower limit only very deep trees fail, with a sentence. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/*
 * Leaves the terminal, the caller's session and its open files, which may be in
 * a mount that is to be unmounted one day. The parent waits for one byte that
 * says that the socket answers; *ret_fd is where it is written.
 */
static int daemonize(int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return -errno;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		int status = 0;
		char ok;

		(void)close(fds[1]);
		if (read(fds[0], &ok, 1) == 1)
			_exit(0);
		(void)waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	(void)close(fds[0]);
	(void)setsid();
	if (chdir("/") < 0)
		return -errno;
	*ret_fd = fds[1];
	return 0;
}

/* Standard streams to the log, once everything that can fail early has. */
static void enter_background(const char *runtime_dir, int ready_fd)
{
	_cleanup_free_ char *path = NULL;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = -1;

	if (asprintf(&path, "%s/layerd.log", runtime_dir) >= 0)
		log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			   0640);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		(void)dup2(log >= 0 ? log : null, STDERR_FILENO);
	closep(&log);
	if (null > STDERR_FILENO)
		closep(&null);
	/* The parent may have been killed; then nobody waits. */
	if (write(ready_fd, "1", 1) < 0)
		log_debug("nobody waits for this daemon");
	(void)close(ready_fd);
}

/* Whoever is in the background was started by a client, whose service manager
 * waits for something else. */
static void tell_manager(bool background, const char *state)
{
	int r = background ? 0 : notify(state);

	if (r < 0)
		log_warning("cannot tell the service manager that %s: %s",
			    state, strerror(-r));
}

static int serve(int stop_fd, int ready_fd, struct err *err)
{
	_cleanup_(host_freep) struct host *host = NULL;
	_cleanup_(janitor_freep) struct janitor *janitor = NULL;
	_cleanup_(server_freep) struct server *server = NULL;
	_cleanup_free_ char *notice = NULL;
	const char *runtime_dir = paths_runtime_dir();
	struct err sweep = ERR_INIT;
	int listen_fd, activated, r;

	r = host_open(&host, paths_state_dir(), runtime_dir, &notice, err);
	if (r == 0)
		r = session_tidy(host, err);
	if (r == 0)
		r = mounted_forget_gone(host, err);
	if (r == 0)
		r = mounting_sweep(host, err);
	if (r == 0)
		r = janitor_new(&janitor, host, err);
	if (r == 0)
		r = listen_open(runtime_dir, &listen_fd, &activated, err);
	if (r == 0)
		r = server_new(&server, host, janitor, listen_fd, err);
	if (r < 0)
		return r;
	if (ready_fd >= 0)
		enter_background(runtime_dir, ready_fd);
	log_info("layerd %s serves %s at %s", release_text, paths_state_dir(),
		 runtime_dir);
	if (notice)
		log_warning("%s", notice);
	tell_manager(ready_fd >= 0, "READY=1");
	r = server_run(server, stop_fd, err);
	tell_manager(ready_fd >= 0, "STOPPING=1");
	if (!activated)
		listen_remove(runtime_dir);
	if (mounting_sweep(host, &sweep) < 0)
		log_warning("%s", sweep.text);
	log_info("layerd ends; what is mounted stays mounted");
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = ERR_INIT;
	int ready_fd = -1, stop_fd, r;

	r = parse_options(argc, argv, &options);
	if (r)
		return r - 1;
	umask(022);
	raise_limits();
	r = options.daemonize ? daemonize(&ready_fd) : 0;
	stop_fd = r < 0 ? r : open_signals();
	if (stop_fd < 0)
		r = err_errno(&err, stop_fd, "cannot start");
	else
		r = serve(stop_fd, ready_fd, &err);
	if (r == -EBUSY && options.daemonize)
		return AUTOSTART_RUNNING;
	if (r < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
