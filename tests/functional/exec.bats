# SPDX-License-Identifier: Apache-2.0
#
# mount --exec: mount, run a command, seal.

load helper

# In a session of its own, so that a signal reaches only what it is sent to; and
# with SIGINT, which shells have their background ignore.
start() {
	env --default-signal=HUP,INT,QUIT,TERM setsid layerctl "$@" >out 2>err 3>&- &
	tool=$!
}

ended_with() {
	local status=0
	wait "$tool" || status=$?
	[ "$status" = "$1" ] || {
		echo "exit status $status instead of $1"
		cat out err
		return 1
	}
}

@test "a command runs in the mount, and what it wrote is sealed" {
	layerctl new v
	layerctl mount v m --exec -m 'the first' --label by=me -- \
		sh -c 'echo 1 >f; pwd; echo $LAYERD_VOLUME $LAYERD_PATH' >out 2>err
	[ "$(cat out)" = "$T/m"$'\n'"v $T/m" ]
	grep -q 'v@1 sealed: 1 file' err
	grep -q 'session ended' err
	[ "$(layerctl cat v@1:/f)" = 1 ]
	json_is '["the first",{"by":"me"}]' '.version | [.message, .labels]' \
		layerctl show v@1
	json_is '[]' .sessions layerctl sessions
	not mountpoint -q m
}

@test "arguments behind -- are taken as they are" {
	layerctl new v
	layerctl mount --exec v m -- printf '%s|' --json -m -- '' --exec 'a b' \
		--help >out
	[ "$(cat out)" = '--json|-m|--||--exec|a b|--help|' ]
	layerctl mount v --exec m --quiet -- true >out 2>&1
	[ ! -s out ]
	json_is 2 '.versions | length' layerctl log v
	layerctl mount v m --exec --json -- echo hello >out
	[ "$(head -1 out)" = hello ]
	[ "$(tail -n +2 out | jq -r .version.reference)" = v@3 ]
}

@test "nobody else sees the mount, so that many can be at one place" {
	layerctl new v
	layerctl new w
	mkfifo go
	start mount v m --exec -- sh -c "echo v >f; read x <$T/go"
	wait_for 'layerctl sessions --json | grep -q mounted'
	not mountpoint -q m
	layerctl mount w m --exec -- sh -c 'echo w >f; ls' >names
	[ "$(cat names)" = f ]
	fails 5 "volume v is mounted for writing at $T/m" layerctl mount v m2
	fails 5 'volume v is mounted for writing' \
		layerctl mount v m2 --exec -- true
	layerctl commit v
	echo >go
	ended_with 0
	[ "$(layerctl cat v:/f)$(layerctl cat w:/f)" = vw ]
}

@test "a session that others resume or end is not held up by a command" {
	layerctl new v
	layerctl new w
	layerctl mount w m2
	echo 1 >m2/f
	layerctl unmount m2
	mkfifo go
	start mount v m --exec -- sh -c "read x <$T/go"
	wait_for 'layerctl sessions --json | grep -q mounted'
	layerctl mount w m2
	layerctl finalize w
	[ "$(layerctl cat w:/f)" = 1 ]
	layerctl mount w m2
	layerctl unmount m2 --discard
	echo >go
	ended_with 0
}

@test "after a failure the session is kept, and resumed" {
	layerctl new v
	fails 3 'sh failed with status 3; the session of v is kept: .layerctl mount v' \
		layerctl mount v m --exec -- sh -c 'echo 1 >f; exit 3'
	json_is '["v","detached"]' '.sessions[0] | [.volume, .state]' \
		layerctl sessions
	fails 3 'has no version yet' layerctl log v
	layerctl mount v m --exec -- sh -c 'cat f; echo 2 >>f' >out
	[ "$(cat out)" = 1 ]
	[ "$(layerctl cat v:/f)" = $'1\n2' ]
}

@test "on failure a session can be discarded or sealed, too" {
	layerctl new v
	fails 1 'what it wrote to v is discarded' \
		layerctl mount v m --exec --on-failure discard -- \
		sh -c 'echo 1 >f; false'
	json_is '[]' .sessions layerctl sessions
	fails 1 'v@1 sealed' layerctl mount v m --exec --on-failure seal -- \
		sh -c 'echo 1 >f; false'
	[ "$(layerctl cat v:/f)" = 1 ]
	json_is '[]' .sessions layerctl sessions
}

@test "discarding takes nothing along that was there before" {
	layerctl new v
	layerctl mount v m
	echo precious >m/f
	layerctl unmount m
	fails 1 'nothing is discarded: the session had unsealed data' \
		layerctl mount v m --exec --on-failure=discard -- false
	layerctl mount v m
	[ "$(cat m/f)" = precious ]
	layerctl finalize v
}

@test "a command that cannot be run leaves nothing" {
	layerctl new v
	fails 127 'cannot run nothing-of-that-name' \
		layerctl mount v m --exec -- nothing-of-that-name
	json_is '[]' .sessions layerctl sessions
	touch plain
	fails 126 'cannot run' layerctl mount v m --exec -- "$T/plain"
	json_is '[]' .sessions layerctl sessions
	fails 3 'has no version yet' layerctl log v
	layerctl mount v m
	echo precious >m/f
	layerctl unmount m
	fails 127 'cannot run' layerctl mount v m --exec --on-failure discard -- \
		nothing-of-that-name
	json_is 1 '.sessions | length' layerctl sessions
}

@test "signals go to the command, and its end is told as shells do" {
	local signal number
	layerctl new v
	for signal in TERM:143 INT:130 HUP:129; do
		number=${signal#*:}
		rm -f ready
		start mount v m --exec -- sh -c "touch $T/ready; exec sleep 1000"
		wait_for '[ -e ready ]'
		kill "-${signal%:*}" "$tool"
		ended_with "$number"
		grep -q "killed by signal $((number - 128)); the session" err
	done
	# One that takes it as a wish to end is asked no more.
	rm -f ready
	start mount v m --exec -- sh -c "trap 'echo bye >f; exit 0' TERM
		touch $T/ready; while :; do sleep 0.1; done"
	wait_for '[ -e ready ]'
	kill -TERM "$tool"
	ended_with 0
	[ "$(layerctl cat v:/f)" = bye ]
}

@test "a killed layerctl leaves a session that the next mount resumes" {
	layerctl new v
	mkfifo go
	start mount v m --exec -- sh -c "echo 1 >f; touch $T/ready; read x <$T/go"
	wait_for '[ -e ready ]'
	kill -KILL "$tool"
	wait "$tool" || true
	fails 5 'volume v is mounted for writing' layerctl mount v m2
	echo >go
	wait_for 'layerctl sessions --json | grep -q detached'
	layerctl mount v m
	[ "$(cat m/f)" = 1 ]
	layerctl finalize v
}

@test "a command that goes on in the background keeps the session" {
	layerctl new v
	fails 5 'v is not sealed, its session is kept .*in use by sleep' \
		layerctl mount v m --exec -- \
		sh -c "sleep 1000 >/dev/null 2>&1 3>&- & echo \$! >$T/pid"
	kill "$(cat pid)"
	wait_gone "$(cat pid)"
	layerctl finalize v
}

@test "a version is only looked at" {
	mkdir src
	echo 1 >src/f
	layerctl new v --from src
	[ "$(layerctl mount v@1 m --exec -- cat f)" = 1 ]
	fails 4 '' layerctl mount v@1 m --exec -- sh -c 'exit 4'
	fails 1 'Read-only' layerctl mount v m --exec --ro -- touch x
	json_is '[[],[]]' '[.sessions, .mounts]' layerctl sessions
	json_is 1 '.versions | length' layerctl log v
	fails 2 '--message is about sealing, and what is mounted read-only' \
		layerctl mount v@1 m --exec -m x -- true
	fails 2 '--on-failure is about' \
		layerctl mount v m --ro --exec --on-failure keep -- true
}

@test "wrong usage is refused before anything is mounted" {
	layerctl new v
	fails 2 '--exec needs a command' layerctl mount v m --exec
	fails 2 '--exec needs a command' layerctl mount v m --exec --
	fails 2 'needs --exec' layerctl mount v m -- true
	fails 2 '--message is about sealing and needs --exec' \
		layerctl mount v m -m x
	fails 2 'is keep, discard or seal' \
		layerctl mount v m --exec --on-failure maybe -- true
	fails 2 'one argument too many' layerctl mount v m --exec true -- true
	fails 3 'no volume w' layerctl mount w m --exec -- true
	fails 3 'does not exist' layerctl mount v nowhere --exec -- true
	chmod 755 "$T"
	chmod 777 run run/layerd.sock
	fails 6 'needs CAP_SYS_ADMIN' setpriv --reuid 1000 --clear-groups \
		"$(command -v layerctl)" mount v "$T/m" --exec -- true
	json_is '[]' .sessions layerctl sessions
}
