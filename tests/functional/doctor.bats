# SPDX-License-Identifier: Apache-2.0
#
# What `layerctl doctor` finds, and what it leaves: nothing.

load helper

# The state of one check.
state_of() {
	{ layerctl doctor --json 2>/dev/null || true; } |
		jq -r --arg name "$1" '.checks[] | select(.name == $name).state'
}

found_of() {
	{ layerctl doctor --json 2>/dev/null || true; } |
		jq -r --arg name "$1" '.checks[] | select(.name == $name).found'
}

# Other programs may write to /tmp meanwhile; $T is the test's own.
traces() {
	cat /proc/self/mountinfo
	find "$T" -printf '%p %T@\n'
}

@test "a host that can run layerd is said to, and nothing is left" {
	traces >"$BATS_TEST_TMPDIR/before"
	layerctl doctor >"$BATS_TEST_TMPDIR/out"
	traces | diff "$BATS_TEST_TMPDIR/before" -
	grep -q '^ok  *overlayfs  *redirect_dir, metacopy, index, xino' \
		"$BATS_TEST_TMPDIR/out"
	grep -q '^ok  *EROFS on files' "$BATS_TEST_TMPDIR/out"
	grep -q 'can do its work' "$BATS_TEST_TMPDIR/out"
	[ ! -e run ] && [ ! -e state ]
	json_is true .usable layerctl doctor
	json_is '[]' '[.checks[] | select(.state == "problem")]' \
		layerctl doctor
}

@test "doctor's EROFS agrees with a real mount" {
	mkdir src
	echo 1 >src/f
	layerctl new v --from src
	layerctl mount v m
	[ "$(cat m/f)" = 1 ]
	[ "$(state_of erofs)" = ok ]
	json_is true .file_backed_erofs layerctl status
	layerctl unmount m
}

@test "a state directory that cannot work is a problem with status 11" {
	mkdir low up work tmp
	mount -t tmpfs tmpfs tmp
	mkdir tmp/{u,w,merged}
	mount -t overlay -o lowerdir=low,upperdir=tmp/u,workdir=tmp/w o tmp/merged
	LAYERD_STATE_DIR=$T/tmp/merged/state fails 11 \
		'cannot do its work on this host: .*state directory' \
		layerctl doctor
	LAYERD_STATE_DIR=$T/tmp/merged/state fails 11 \
		'problem  *state directory .* on overlayfs' layerctl doctor
	LAYERD_STATE_DIR=$T/tmp/state fails 11 \
		'problem  *state directory .* on tmpfs' layerctl doctor
	LAYERD_STATE_DIR=$T/tmp/state fails 11 \
		'problem  *EROFS on files  *only from block devices' \
		layerctl doctor
	LAYERD_STATE_DIR=$T/a,b fails 11 'comma' layerctl doctor
	mount -o remount,ro tmp
	LAYERD_STATE_DIR=$T/tmp/state fails 11 'read-only' layerctl doctor
	umount tmp/merged tmp
}

@test "a disk without room is a problem" {
	truncate -s 20M disk
	mkfs.ext4 -q disk
	mkdir d
	mount -o loop disk d
	LAYERD_STATE_DIR=$T/d/state fails 11 'problem  *free space' \
		layerctl doctor
	umount d
}

@test "without root doctor says what it could not see" {
	local out
	chmod 755 "$T"
	out=$(setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$(command -v layerctl)" doctor)
	grep -q '^warning  *privileges  *not root' <<<"$out"
	grep -q '^unseen  *overlayfs' <<<"$out"
	grep -q 'do: sudo layerctl doctor' <<<"$out"
	grep -q 'as far as could be seen' <<<"$out"
}

@test "without CAP_SYS_ADMIN nothing can be mounted" {
	fails 11 'problem  *privileges  *root, without CAP_SYS_ADMIN' \
		setpriv --inh-caps=-sys_admin --bounding-set=-sys_admin \
		"$(command -v layerctl)" doctor
}

@test "doctor sees whether the daemon is there, well and of its version" {
	local pid
	[[ $(found_of daemon) == "none is listening at $T/run" ]]
	layerctl new v
	pid=$(daemon_pid)
	[[ $(found_of daemon) == "layerd "*", process $pid, serves $T/state" ]]
	kill -STOP "$pid"
	[ "$(state_of daemon)" = problem ]
	[ "$(found_of daemon)" = 'it does not answer' ]
	kill -CONT "$pid"
	wait_for '[ "$(state_of daemon)" = ok ]'
}

@test "doctor and a daemon of another version" {
	mkdir run
	python3 - <<-'EOF' &
		import json, os, socket
		s = socket.socket(socket.AF_UNIX)
		s.bind("run/layerd.sock.new")
		s.listen()
		os.rename("run/layerd.sock.new", "run/layerd.sock")
		c, _ = s.accept()
		c.recv(4096)
		c.sendall(json.dumps({"parameters": {"version": "0.0.1",
		    "pid": 1, "state": "/x"}}).encode() + b"\0")
		c.recv(4096)
	EOF
	wait_for '[ -e run/layerd.sock ]'
	layerctl doctor --json >out
	[ "$(jq -r '.checks[] | select(.name == "daemon").state' out)" = warning ]
	wait
	[ "$(state_of daemon)" = ok ]
}
