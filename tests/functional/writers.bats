# SPDX-License-Identifier: Apache-2.0
#
# A volume has one writer at a time, however many try, and any number of
# readers; commits come one after the other.

load helper

@test "a second writable mount is refused and names the first" {
	layerctl new v
	layerctl mount v m
	fails 5 "$T/m" layerctl mount v m2
	fails 5 "$(layerctl sessions --json | jq -r '.sessions[0].id')" \
		layerctl mount v m2
	not mountpoint -q m2
	# Also of a mount that was only moved or copied elsewhere.
	mkdir m3
	mount --bind m m3
	umount m
	fails 5 "$T/m3" layerctl mount v m2
	umount m3
	layerctl mount v m2
}

@test "a writable mount in another mount namespace counts" {
	layerctl new v
	unshare --mount --propagation private \
		sh -c 'layerctl mount v m && touch m/f && exec sleep 1000' \
		3>&- &
	wait_for '[ -e "$(layerctl sessions --json |
		jq -r ".sessions[0].upper")/f" ]'
	not mountpoint -q m
	fails 5 "$T/m" layerctl mount v m2
	kill "$!"
	wait "$!" || true
	layerctl mount v m2
	[ -e m2/f ]
}

@test "a mount point that is in use is refused" {
	layerctl new v
	layerctl new w
	layerctl mount v m
	fails 5 'mount point already \(v\)' layerctl mount w m
	json_is '["v"]' '[.sessions[].volume]' layerctl sessions
}

@test "any number of read-only mounts, beside a writer" {
	local i
	layerctl new v
	layerctl mount v m
	echo one >m/f
	layerctl commit v
	for i in 1 2 3 4 5; do
		mkdir "r$i"
		layerctl mount --ro v "r$i"
		fails 5 'mount point already' layerctl mount v@1 "r$i"
		echo "$i" >"m/f$i"
		layerctl commit v
	done
	for i in 1 2 3 4 5; do
		[ "$(cat "r$i/f")" = one ]
		[ "$(ls "r$i" | wc -l)" = "$i" ]
		fails 1 'Read-only file system' touch "r$i/g"
	done
	json_is 5 '.mounts | length' layerctl sessions
	fails 5 "$T/m" layerctl mount v m2
}

@test "of eight mounts at once exactly one wins" {
	local i round won
	layerctl new v
	for round in 1 2 3; do
		rm -f status.*
		for i in 1 2 3 4 5 6 7 8; do
			mkdir -p "p$i"
			{
				layerctl mount v "p$i" >"out.$i" 2>&1 ||
					echo "$?" >"status.$i"
			} 3>&- &
		done
		wait
		cat out.*
		[ "$(grep -lx 5 status.* | wc -l)" = 7 ]
		for i in 1 2 3 4 5 6 7 8; do
			if [ -e "status.$i" ]; then
				not mountpoint -q "p$i"
			else
				won=p$i
			fi
		done
		mountpoint -q "$won"
		echo "$round" >"$won/f$round"
		json_is 1 '.sessions | length' layerctl sessions
		layerctl unmount "$won"
	done
	layerctl mount v m
	[ "$(cat m/f*)" = $'1\n2\n3' ]
}

@test "of eight first mounts at once exactly one wins" {
	local i
	layerctl new v
	for i in 1 2 3 4 5 6 7 8; do
		mkdir "p$i"
		{
			layerctl mount v "p$i" >"out.$i" 2>&1 ||
				echo "$?" >"status.$i"
		} 3>&- &
	done
	wait
	cat out.*
	[ "$(grep -lx 5 status.* | wc -l)" = 7 ]
}

@test "eight commits at once all succeed, each with its own sequence" {
	local i
	layerctl new v
	layerctl mount v m
	echo data >m/f
	for i in 1 2 3 4 5 6 7 8; do
		{
			echo "$i" >"m/f$i"
			layerctl commit v -m "commit $i" --json >"out.$i" 2>&1
		} 3>&- &
	done
	wait
	cat out.*
	[ "$(jq -s -c '[.[].version.sequence] | sort' out.*)" = \
		'[1,2,3,4,5,6,7,8]' ]
	json_is 8 '[.versions[].message] | unique | length' layerctl log v
	dump m >want
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want got
	# The file that each commit was made after is in its version.
	layerctl unmount m
	for i in 1 2 3 4 5 6 7 8; do
		layerctl mount "v@$(jq .version.sequence "out.$i")" m2
		[ "$(cat "m2/f$i")" = "$i" ]
		umount m2
	done
}

@test "commits and mounts of many volumes at once do not disturb each other" {
	local i
	for i in 1 2 3 4 5 6; do
		mkdir "p$i"
		{
			set -e
			layerctl new "v$i"
			layerctl mount "v$i" "p$i"
			for n in 1 2 3; do
				echo "$i $n" >"p$i/f"
				layerctl commit "v$i"
			done
			layerctl finalize "v$i"
			layerctl mount "v$i@2" "p$i"
			[ "$(cat "p$i/f")" = "$i 2" ]
			layerctl unmount "p$i"
			touch "done.$i"
		} >"out.$i" 2>&1 3>&- &
	done
	wait
	cat out.*
	[ "$(ls done.* | wc -l)" = 6 ]
	json_is '[0,0]' '[(.sessions | length), (.mounts | length)]' \
		layerctl sessions
	json_is '[4]' '[.volumes[].sequence] | unique' layerctl ls
}
