/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold: what a command wrote is sealed only after it ended well, and
 * is thrown away only when that was asked for and nothing older goes with it.
 */
#include "mount-exec.h"

#include "exec.h"
#include "output.h"
#include "reply.h"
#include "seal.h"
#include "target.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

enum failure {
	FAILURE_KEEP,
	FAILURE_DISCARD,
	FAILURE_SEAL,
};

static int parse_failure(const struct args *a, enum failure *ret,
			 struct err *err)
{
	static const char *const words[] = {[FAILURE_KEEP] = "keep",
					    [FAILURE_DISCARD] = "discard",
					    [FAILURE_SEAL] = "seal"};
	const char *word = args_value(a, "on-failure");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(word ? word : "keep", words[i]) != 0)
			continue;
		*ret = (enum failure)i;
		return 0;
	}
	return err_set(err, EINVAL,
		       "--on-failure is keep, discard or seal, not '%s'", word);
}

int mount_exec_check(const struct tool *t, bool readonly, struct err *err)
{
	static const char *const about_seals[] = {"message", "label",
						  "on-failure"};
	bool exec = args_has(&t->args, "exec");
	enum failure failure;

	if (exec && (!t->args.tail || !t->args.tail[0]))
		return err_set(err, EINVAL,
			       "--exec needs a command, behind \"--\"");
	if (!exec && t->args.tail)
		return err_set(err, EINVAL,
			       "a command behind \"--\" needs --exec");
	for (size_t i = 0; i < ARRAY_SIZE(about_seals); i++) {
		const char *name = about_seals[i];

		if (!args_has(&t->args, name) || (exec && !readonly))
			continue;
		if (exec)
			return err_set(err, EINVAL,
				       "--%s is about sealing, and what is "
				       "mounted read-only is not sealed",
				       name);
		return err_set(err, EINVAL,
			       "--%s is about sealing and needs --exec", name);
	}
	return parse_failure(&t->args, &failure, err);
}

int mount_exec_prepare(struct tool *t, struct err *err)
{
	int r = tool_connect(t, err);

	t->aside = true;
	return r < 0 ? r : exec_enter_namespace(err);
}

static json_t *volume_target(const struct tool *t)
{
	return json_pack("{s:s}", "volume", t->args.operands[0]);
}

static int unmount(struct tool *t, json_t *target, bool lazy, bool discard,
		   struct err *err)
{
	_cleanup_(json_decrefp) json_t *reply = NULL;
	int r;

	r = tool_call(t, "Unmount",
		      json_pack("{s:o, s:b, s:b}", "target", target, "lazy",
				(int)lazy, "discard", (int)discard),
		      &reply, err);
	if (r == 0 && t->json)
		output_json(stdout, reply);
	return r;
}

/* Whoever still has a file open there reads on. */
static int leave_version(struct tool *t, const char *path, struct err *err)
{
	json_t *target;
	int r = target_make(path, &target, err);

	return r < 0 ? r : unmount(t, target, true, false, err);
}

static int leave_session(struct tool *t, bool discard, const char *why,
			 struct err *err)
{
	const char *volume = t->args.operands[0];
	int r = unmount(t, volume_target(t), false, discard, err);

	if (r < 0)
		return err_prefix(err, r, "%s; the session of %s is kept", why,
				  volume);
	if (discard)
		tool_say(t, "%s; what it wrote to %s is discarded", why,
			 volume);
	else
		tool_say(t,
			 "%s; the session of %s is kept: `layerctl mount %s` "
			 "takes it up again, `layerctl finalize %s` seals it, "
			 "`layerctl unmount %s --discard` ends it",
			 why, volume, volume, volume, volume);
	return 0;
}

static int seal(struct tool *t, struct err *err)
{
	const char *volume = t->args.operands[0];
	int r = seal_target(t, volume_target(t), true, false, err);

	if (r < 0)
		return err_prefix(err, r,
				  "%s is not sealed, its session is kept "
				  "(`layerctl finalize %s` tries again)",
				  volume, volume);
	return 0;
}

static int end_session(struct tool *t, bool resumed, const char *why,
		       struct err *err)
{
	enum failure failure;
	int r = parse_failure(&t->args, &failure, err);

	if (r < 0)
		return r;
	if (failure == FAILURE_SEAL) {
		tool_say(t, "%s", why);
		return seal(t, err);
	}
	if (failure == FAILURE_DISCARD && resumed)
		tool_say(t,
			 "nothing is discarded: the session had unsealed data "
			 "before");
	return leave_session(t, failure == FAILURE_DISCARD && !resumed, why,
			     err);
}

static int set_environment(const struct tool *t, const char *path,
			   struct err *err)
{
	if (setenv("LAYERD_VOLUME", t->args.operands[0], 1) < 0 ||
	    setenv("LAYERD_PATH", path, 1) < 0)
		return err_oom(err);
	return 0;
}

/* Nothing ran. The failure is what counts, so the rest is done in silence. */
static void undo(struct tool *t, const char *path, bool readonly, bool resumed)
{
	bool json = t->json;

	t->json = false;
	if (readonly)
		(void)leave_version(t, path, NULL);
	else
		(void)unmount(t, volume_target(t), false, !resumed, NULL);
	t->json = json;
}

int mount_exec(struct tool *t, const char *path, const json_t *reply,
	       struct err *err)
{
	bool readonly = reply_bool(reply, "readonly");
	bool resumed = reply_bool(reply, "resumed");
	const char *program = t->args.tail[0];
	_cleanup_free_ char *why = NULL;
	int status, r;

	r = set_environment(t, path, err);
	if (r == 0)
		r = exec_run(t->args.tail, path, &t->status, err);
	if (r < 0) {
		undo(t, path, readonly, resumed);
		return r;
	}
	status = t->status;
	if (readonly)
		return leave_version(t, path, err);
	if (status == 0)
		return seal(t, err);
	if ((status > EXEC_SIGNAL ? asprintf(&why, "%s was killed by signal %d",
					     program, status - EXEC_SIGNAL)
				  : asprintf(&why, "%s failed with status %d",
					     program, status)) < 0)
		return err_oom(err);
	return end_session(t, resumed, why, err);
}
