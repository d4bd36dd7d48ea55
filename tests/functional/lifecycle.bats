# SPDX-License-Identifier: Apache-2.0
#
# A volume's life, from its first version to forks of it, through restarts of
# the daemon and of the host.

load helper

@test "new, mount, write, commit, finalize, fork, mount versions side by side" {
	layerctl new v
	layerctl mount v m
	findmnt -n m | grep -q '^.* v  *overlay'
	mkdir m/d
	echo one >m/d/f
	layerctl commit v -m 'the first'
	echo two >m/d/f
	echo new >m/g
	layerctl commit m -m 'by path'
	(cd m/d && rm ../g && layerctl commit . -m 'by a path inside')
	echo three >m/d/f
	layerctl finalize v -m 'the last'
	not mountpoint -q m
	json_is '[]' .sessions layerctl sessions

	layerctl fork v@2 w
	layerctl mount w m
	layerctl mount v@1 m2
	mkdir m3
	layerctl mount --ro v m3
	[ "$(cat m/d/f m/g m2/d/f m3/d/f)" = $'two\nnew\none\nthree' ]
	[ ! -e m2/g ] && [ ! -e m3/g ]
	findmnt -no SOURCE m | grep -qx 'w@1'
	findmnt -no SOURCE m2 | grep -qx 'v@1'
	findmnt -no SOURCE m3 | grep -qx 'v@4'
	fails 1 'Read-only' touch m2/x
	fails 1 'Read-only' touch m3/x

	# The fork goes its own way.
	echo forked >m/d/f
	layerctl finalize m
	[ "$(cat m3/d/f)" = three ]
	layerctl mount w m
	[ "$(cat m/d/f)" = forked ]
	json_is '[4,2]' '[.volumes[].sequence]' layerctl ls
}

@test "log, show, ls and sessions tell what there is" {
	layerctl new v
	json_is '{"name":"v","head":null,"sequence":0,"message":null,"size":0,"session":null}' \
		'.volumes[0] | {name, head, sequence, message, size, session}' \
		layerctl ls
	layerctl mount v m
	echo 1 >m/a
	echo 2 >m/b
	layerctl commit v -m 'Erste Fassung: größer, 日本' --label stage=raw \
		--label 'run/key=значение = с'
	rm m/a
	layerctl commit v -m $'two\nlines'

	json_is '["v@2","v@1"]' '[.versions[].reference]' layerctl log v
	json_is '[2,2]' '[.versions[] | .changed + .sequence - 1]' layerctl log v
	json_is '"Erste Fassung: größer, 日本"' '.versions[1].message' \
		layerctl log v
	json_is '{"run/key":"значение = с","stage":"raw"}' .version.labels \
		layerctl show v@1
	json_is '{}' .version.labels layerctl show v
	json_is 1 '.versions | length' layerctl log v@1
	json_is '["v@2"]' '[.versions[].reference]' layerctl log -n 1 v
	[ "$(layerctl show v@2 --json | jq .version.parent)" = \
		"$(layerctl show v@1 --json | jq .version.digest)" ]
	json_is '"settled"' .version.consistency layerctl show v

	# The same, for people.
	layerctl log v >log
	[ "$(wc -l <log)" = 2 ]
	sed -n 1p log | grep -qE '^v@2 .* 1 file  two  sha256:[0-9a-f]{12}$'
	sed -n 2p log | grep -qE \
		'^v@1 .*20[0-9-]{8}.*\+[0-9.]+ KiB .*2 files  Erste Fassung'
	layerctl show v@1 | grep -qE '^ +stage=raw$'
	layerctl show v | grep -qE '^message +two$'
	layerctl show v | grep -qE '^ +lines$'
	layerctl ls | grep -qx v
	layerctl ls -l | grep -qE '^v +@2 +9.5 KiB .* two$'
	layerctl sessions | grep -qE "mounted .*$T/m\$"

	# A version by its digest, or the beginning of it.
	digest=$(layerctl show v@1 --json | jq -r .version.digest)
	json_is "\"$digest\"" .version.digest layerctl show "$digest"
	json_is "\"$digest\"" .version.digest layerctl show "${digest:0:15}"
	layerctl mount "$digest" m2
	[ "$(ls m2)" = $'a\nb' ]
	umount m2

	session='{"volume":"v","state":"mounted","path":"'$T'/m"}'
	json_is "$session" '.sessions[] | {volume, state, path}' \
		layerctl sessions
	json_is '[1,1]' '[.volumes, .sessions]' layerctl status
	json_is "\"$T/state\"" .state layerctl status
	layerctl status | grep -qF "$T/state"
}

@test "a commit without changes makes a version with the same layers" {
	layerctl new v
	layerctl mount v m
	echo 1 >m/a
	layerctl commit v -m one
	layerctl commit v -m two
	layerctl commit v -m three --label a=b
	json_is '[1,1,1]' '[.versions[] | .layers | length]' layerctl log v
	json_is 1 '[.versions[].layers[0].digest] | unique | length' \
		layerctl log v
	json_is 3 '[.versions[].digest] | unique | length' layerctl log v
	json_is '[0,0,1]' '[.versions[].changed]' layerctl log v
	json_is '[0,0]' '[.versions[:2][].added]' layerctl log v
	# Nor does reading, or what was undone again.
	cat m/a >/dev/null
	ls -lR m >/dev/null
	layerctl commit v
	layerctl finalize v
	layerctl mount v m
	layerctl finalize v
	json_is '[1]' '[.versions[] | .layers | length] | unique' \
		layerctl log v
	# A socket, in the place of a file too, is never there.
	layerctl mount v m
	rm m/a
	python3 -c 'import socket
socket.socket(socket.AF_UNIX).bind("m/a")'
	layerctl commit v
	layerctl commit v
	layerctl commit v
	json_is '[2,2,2]' '[.versions[:3][] | .layers | length]' layerctl log v
}

@test "a first seal of nothing is a version" {
	layerctl new v
	layerctl mount v m
	layerctl finalize v
	layerctl mount v@1 m2
	[ -z "$(ls -A m2)" ]
	layerctl mount v m
	echo 1 >m/a
	layerctl finalize v
	umount m2
	layerctl mount v@1 m2
	[ -z "$(ls -A m2)" ]
}

@test "many commits stay within 32 layers and keep every version" {
	local i
	layerctl new v
	layerctl mount v m
	for ((i = 1; i <= 40; i++)); do
		echo "$i" >"m/f$((i % 7))"
		mkdir "m/d$i"
		echo "$i" >"m/d$i/f"
		[ "$i" -lt 5 ] || rm -r "m/d$((i - 3))"
		layerctl commit -q v
		dump m >"want.$i"
		[ "$(layer_count v)" -le 32 ]
	done
	for i in 1 2 16 31 32 33 34 39 40; do
		layerctl mount "v@$i" m2
		dump m2 >got
		umount m2
		same_dump "want.$i" got
	done
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want.40 got
}

@test "a session is taken up after a plain umount" {
	layerctl new v
	layerctl mount v m
	echo unsealed >m/f
	umount m
	json_is '"detached"' '.sessions[].state' layerctl sessions
	json_is true .resumed layerctl mount v m2
	[ "$(cat m2/f)" = unsealed ]
	layerctl finalize m2
	layerctl mount v m
	[ "$(cat m/f)" = unsealed ]
}

@test "unmount keeps the session, --discard ends it" {
	layerctl new v
	layerctl mount v m
	echo sealed >m/f
	layerctl commit v
	echo unsealed >m/f
	layerctl unmount m
	not mountpoint -q m
	layerctl mount v m
	[ "$(cat m/f)" = unsealed ]
	layerctl unmount v --discard
	not mountpoint -q m
	json_is '[]' .sessions layerctl sessions
	json_is false .resumed layerctl mount v m
	[ "$(cat m/f)" = sealed ]
	layerctl unmount m
	# A detached session can be ended, too.
	layerctl unmount v --discard
	json_is '[]' .sessions layerctl sessions
	wait_for '[ -z "$(ls state/sessions)" ]'
}

@test "a session that is not mounted can be committed and finalized" {
	layerctl new v
	layerctl mount v m
	echo 1 >m/f
	umount m
	layerctl commit v
	layerctl finalize v
	json_is 2 '.volumes[0].sequence' layerctl ls
	layerctl mount v m
	[ "$(cat m/f)" = 1 ]
}

@test "mounts outlive the daemon and are sealed by the next one" {
	local signal pid
	layerctl new v
	layerctl mount v m
	for signal in TERM KILL; do
		echo "before $signal" >m/f
		layerctl commit v
		layerctl mount v@1 m2
		pid=$(daemon_pid)
		exec 5>>m/open
		stop_daemon "$signal"
		fails 12 'no daemon' layerctl --no-autostart status
		[ "$(cat m2/f)" = 'before TERM' ]
		echo "without a daemon, $signal" >m/g
		echo "$signal" >&5
		mv m/f m/renamed
		layerctl commit v
		[ "$(daemon_pid)" != "$pid" ]
		json_is '"mounted"' '.sessions[].state' layerctl sessions
		json_is '"v@1"' '.mounts[].reference' layerctl sessions
		echo 'after the restart' >&5
		exec 5>&-
		layerctl unmount m2
		layerctl mount --ro v m2
		[ "$(cat m2/g)" = "without a daemon, $signal" ]
		[ "$(cat m2/renamed)" = "before $signal" ]
		layerctl unmount m2
	done
	dump m >want
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want got
}

@test "a second daemon on the same state directory is refused" {
	layerctl new v
	fails 1 "another layerd uses the state directory $T/state" \
		env LAYERD_RUNTIME_DIR="$T/run2" layerd --foreground
	fails 1 "$T/state" layerd --foreground
	# The first one is still served.
	layerctl --no-autostart new w
}

@test "after a reboot sessions are detached and have their unsealed data" {
	layerctl new v
	layerctl mount v m
	mkdir m/from-below
	echo sealed >m/f
	echo linked >m/from-below/l1
	ln m/from-below/l1 m/l2
	layerctl finalize v
	layerctl mount v m
	layerctl mount v@1 m2
	mv m/from-below m/renamed
	echo unsealed >m/f
	echo more >>m/l2
	layerctl commit v
	echo 'more unsealed' >m/g
	dump m >want
	reboot
	not mountpoint -q m
	json_is '"detached"' '.sessions[].state' layerctl sessions
	json_is '[]' .mounts layerctl sessions
	json_is true .resumed layerctl mount v m
	dump m >got
	same_dump want got
	echo again >>m/renamed/l1
	dump m >want
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want got
	json_is '[1,2,3]' '[.versions[].sequence] | sort' layerctl log v
	reboot
	json_is 3 '.volumes[].sequence' layerctl ls
	layerctl mount v@1 m2
	[ "$(cat m2/f)" = sealed ]
}

@test "after a reboot the session of a volume without versions goes on" {
	layerctl new v
	layerctl mount v m
	mkdir m/d
	echo unsealed >m/d/f
	dump m >want
	reboot
	json_is true .resumed layerctl mount v m
	dump m >got
	same_dump want got
	layerctl commit v
	rm m/d/f
	dump m >want
	reboot
	layerctl mount v m
	dump m >got
	same_dump want got
	layerctl finalize v
	[ "$(layer_count v)" = 2 ]
}

@test "a reboot needs no cache and no catalog" {
	make_tree --plain plain
	dump plain >want
	layerctl new v --from plain
	layerctl mount v m
	echo unsealed >m/f
	dump m >want2
	reboot
	rm -rf state/cache state/catalog.db*
	layerctl mount v@1 m2
	dump m2 >got
	same_dump want got
	layerctl mount v m
	dump m >got
	same_dump want2 got
	layerctl finalize v
}

@test "a mount is in the caller's mount namespace and nowhere else" {
	layerctl new v
	unshare --mount --propagation private sh -c '
		layerctl mount v m && mountpoint -q m && echo in >m/f &&
		touch ready && sleep 1000' 3>&- &
	wait_for '[ -e ready ]'
	not mountpoint -q m
	[ ! -e m/f ]
	json_is "\"$T/m\"" '.sessions[].path' layerctl sessions
	layerctl commit v
	layerctl mount v@1 m2
	[ "$(cat m2/f)" = in ]
	# Finalized from here it is unmounted there.
	layerctl finalize v
	kill "$!"
	wait "$!" || true
}

@test "a mount in a namespace that ended leaves a session to take up" {
	layerctl new v
	unshare --mount --propagation private sh -c \
		'layerctl mount v m && echo in >m/f'
	json_is '"detached"' '.sessions[].state' layerctl sessions
	layerctl mount v m
	[ "$(cat m/f)" = in ]
}

@test "a finalize of a mount that is in use names who uses it" {
	layerctl new v
	layerctl mount v m
	echo 1 >m/f
	bash -c 'exec -a busybody sleep 1000' <m/f 3>&- &
	wait_for 'grep -q sleep "/proc/$!/comm"'
	fails 5 "sleep \\(pid $!, open file\\)" layerctl finalize v
	mountpoint -q m
	json_is '[null,0]' '.volumes[] | [.head, .sequence]' layerctl ls
	fails 5 "sleep \\(pid $!, " layerctl unmount m
	kill "$!"
	wait "$!" || true
	sh -c 'cd m && exec sleep 1000' 3>&- &
	wait_for 'grep -q sleep "/proc/$!/comm"'
	fails 5 "sleep \\(pid $!, working directory\\)" layerctl finalize v
	echo 2 >m/f
	layerctl finalize --lazy v
	not mountpoint -q m
	kill "$!"
	wait "$!" || true
	json_is 1 '.volumes[].sequence' layerctl ls
	layerctl mount v m
	[ "$(cat m/f)" = 2 ]
	layerctl unmount --lazy m
}

@test "a read-only mount in use is not unmounted, --lazy detaches it" {
	mkdir plain
	echo 1 >plain/f
	layerctl new v --from plain
	layerctl mount v@1 m
	sleep 1000 <m/f 3>&- &
	wait_for 'grep -q sleep "/proc/$!/comm"'
	fails 5 "sleep \\(pid $!, open file\\)" layerctl unmount m
	[ "$(cat m/f)" = 1 ]
	layerctl unmount --lazy m
	not mountpoint -q m
	kill "$!"
	wait "$!" || true
	json_is '[]' .mounts layerctl sessions
}

@test "seal is commit and, with --finalize, finalize" {
	layerctl new v
	layerctl mount v m
	echo 1 >m/f
	layerctl seal v -m one
	mountpoint -q m
	layerctl seal --finalize m -m two
	not mountpoint -q m
	json_is '["two","one"]' '[.versions[].message]' layerctl log v
}

@test "a daemon that systemd activates serves its socket" {
	cat >activate.py <<-'E'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(8)
		os.dup2(s.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ["LISTEN_FDS"] = "1"
		os.environ["LISTEN_PID"] = str(os.getpid())
		os.execvp("layerd", ["layerd", "--foreground"])
	E
	mkdir run
	python3 activate.py run/layerd.sock >activated.log 2>&1 3>&- &
	wait_for 'layerctl --no-autostart status'
	layerctl --no-autostart new v
	[ "$(daemon_pid)" = "$!" ]
	layerctl --no-autostart mount v m
	echo 1 >m/f
	layerctl --no-autostart finalize v
	kill "$!"
	wait "$!"
	# The socket is systemd's.
	[ -S run/layerd.sock ]
}

@test "layerctl starts the daemon once, however many callers" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		layerctl status --json >"status.$i" 3>&- &
	done
	wait
	[ "$(jq -s '[.[].pid] | unique | length' status.*)" = 1 ]
	[ "$(jq -s length status.*)" = 8 ]
}

@test "a daemon that layerctl starts keeps no file of its caller open" {
	layerctl new v
	layerctl mount v m
	stop_daemon
	exec 5>>m/f
	(cd m && layerctl status)
	exec 5>&-
	layerctl finalize v
}

@test "errors are JSON with --json, on standard error" {
	fails 3 '^\{"error":\{"name":"io.layerd.NotFound","message":".*"\}\}$' layerctl show v --json
	fails 2 'io.layerd.InvalidArgument' layerctl new 'No!' --json
	layerctl show v --json 2>/dev/null >out || true
	[ ! -s out ]
}

@test "every command has help with examples" {
	local command
	layerctl --help >help
	sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' \
		help >commands
	[ "$(wc -l <commands)" -ge 15 ]
	while read -r command; do
		layerctl $command --help >help
		grep -q '^Examples:' help || {
			echo "$command has no examples"
			return 1
		}
		grep -q -- --json help
	done <commands
	[ ! -e state ]
}

@test "a version and a layer that the catalog lacks are found by their digits" {
	local version layer
	mkdir src
	echo 1 >src/f
	layerctl new v --from src
	version=$(layerctl show v --json | jq -r .version.digest)
	layer=$(layerctl show v --json | jq -r '.version.layers[0].digest')
	stop_daemon
	sqlite3 state/catalog.db 'DELETE FROM version; DELETE FROM layer'
	[ "$(layerctl show "${version:0:19}" --json | jq -r .version.digest)" = \
		"$version" ]
	[ "$(layerctl layer cat "$layer" f)" = 1 ]
	fails 3 "begins with 00000000" layerctl show sha256:00000000
}
