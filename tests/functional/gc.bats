# SPDX-License-Identifier: Apache-2.0
#
# rm and gc: what goes, what is refused, and that all else stays.

load helper

# The store's bytes in packs.
packed() {
	find state/store/packs -type f -printf '%s\n' 2>/dev/null |
		awk '{ n += $1 } END { print n + 0 }'
}

# All that there is in store and cache, by name and content.
everything() {
	find state/store state/cache -type f ! -name .lock \
		! -path '*/stage-*' -printf '%p %s\n' |
		LC_ALL=C sort
}

# Volume v: three versions of a file of 2 MiB that does not compress.
make_versions() {
	mkdir -p src
	head -c 2000000 /dev/urandom >src/data
	seq 20000 >src/numbers
	layerctl new v --from src
	dump src >v.1
	layerctl mount v m
	head -c 2000000 /dev/urandom >m/data
	dump m >v.2
	layerctl commit v
	head -c 2000000 /dev/urandom >m/data
	dump m >v.3
	layerctl finalize v
}

# is_version FILE REF: its tree is what was dumped, and its layers are whole.
is_version() {
	local layer

	for layer in $(layerctl show "$2" --json |
		jq -r '.version.layers[].digest'); do
		layerctl -q layer verify "$layer"
	done
	layerctl mount --ro "$2" m2
	dump m2 >is
	layerctl unmount m2
	same_dump "$1" is
}

@test "rm and gc free what a version alone had, and leave the others" {
	local before
	make_versions
	# What the third one is on top of stays as its layer.
	layerctl rm v@2
	json_is '[1,0,0]' '[.versions, .layers, .packs]' layerctl gc
	is_version v.3 v@3
	layerctl reset v v@1
	before=$(packed)
	layerctl rm v@3
	[ "$(packed)" = "$before" ]
	json_is '[1,2,2]' '[.versions, .layers, .packs]' layerctl gc
	[ "$(packed)" -lt $((before - 3900000)) ]
	is_version v.1 v@1
	is_version v.1 v
	json_is '[0,0,0,0,0,0]' \
		'[.versions, .layers, .packs, .bytes, .cached_layers, .cached]' \
		layerctl gc
	[ ! -e state/store/gc ] || [ -z "$(ls state/store/gc)" ]
}

@test "everything goes with its last volume" {
	make_versions
	layerctl rm v
	fails 3 'no volume v' layerctl show v
	fails 3 'no volume v' layerctl rm v
	json_is '[3,3,0,0]' '[.versions, .layers, .kept, .dead]' layerctl gc
	[ -z "$(find state/store -type f ! -name layerd.json)" ]
	wait_for '[ -z "$(find state/cache -mindepth 1 ! -name .lock)" ]'
	[ ! -e state/store/volumes/v ]
	json_is '[0,0]' '[.packs, .chunks]' layerctl status
	make_versions
	is_version v.1 v@1
	json_is 3 '.versions | length' layerctl log v
}

@test "a removed number is told, and log goes on past it" {
	make_versions
	layerctl rm v@1
	fails 3 'version 1 of volume v was removed' layerctl show v@1
	fails 3 'version 1 of volume v was removed' layerctl rm v@1
	json_is '["v@3","v@2"]' '[.versions[].reference]' layerctl log v
	json_is '["v@2"]' '[.versions[].reference]' layerctl log v@2
	layerctl gc
	json_is '["v@3","v@2"]' '[.versions[].reference]' layerctl log v
	json_is 2 '.versions | length' layerctl log \
		"$(layerctl show v --json | jq -r .version.digest)"
	json_is '["v"]' '[.volumes[].name]' layerctl ls
	# The next one gets the number after the newest.
	layerctl mount v m
	echo new >m/new
	layerctl finalize v
	json_is '["v@4","v@3","v@2"]' '[.versions[].reference]' layerctl log v
}

@test "the newest version is removed once another one is" {
	make_versions
	fails 5 'v@3 is the newest .* reset' layerctl rm v@3
	layerctl reset v v@1
	layerctl rm v@3
	fails 5 'v@4 is the newest' layerctl rm v@4
	layerctl gc
	is_version v.1 v
	is_version v.2 v@2
	# The head is another number of the version that was the first.
	layerctl rm v@1
	layerctl gc
	is_version v.1 v@4
	layerctl mount v m
	echo new >m/new
	layerctl finalize v
	json_is '["v@5","v@4","v@2"]' '[.versions[].reference]' layerctl log v
}

@test "a tag keeps its version; by it both go" {
	make_versions
	layerctl tag v@1 old
	layerctl tag v@1 older
	fails 5 'has the tags old, older .* tag -d v:old' layerctl rm v@1
	fails 5 'has the tag older ' layerctl rm v:old
	fails 5 'volume v has 2 tags' layerctl rm v
	layerctl tag -d v:older
	json_is '[{"reference":"v:old","versions":1}]' .removed \
		layerctl rm v:old
	fails 3 'no tag old' layerctl show v:old
	fails 3 'was removed' layerctl show v@1
	layerctl tag v@2 keep
	layerctl rm --force v
	json_is 3 .versions layerctl gc
}

@test "a check does not take a removed number for a lost one" {
	make_versions
	layerctl rm v@2
	layerctl fsck
	layerctl fsck --repair
	fails 3 'version 2 of volume v was removed' layerctl show v@2
	layerctl rename v w
	fails 3 'version 2 of volume w was removed' layerctl show w@2
	json_is 1 .versions layerctl gc
	layerctl fsck
	is_version v.3 w@3
	# One that was lost is given back.
	layerctl new x --from src
	rm state/store/volumes/x/1
	layerctl fsck --repair
	is_version v.1 x@1
}

@test "marks of damaged packs go with their packs" {
	local pack
	make_versions
	layerctl reset v v@1
	layerctl rm v@3
	mkdir -p state/store/damaged
	for pack in state/store/packs/*/*; do
		echo >"state/store/damaged/$(basename "$pack")"
	done
	json_is 1 .packs layerctl gc --dry-run
	json_is 1 .packs layerctl gc
	diff <(ls state/store/damaged) <(cd state/store/packs && ls -d */* |
		cut -d/ -f2)
	json_is '[{"reference":"v","versions":3}]' .removed layerctl rm v
	layerctl gc
	[ -z "$(ls state/store/damaged)" ]
}

@test "volumes that are renamed beside gc lose nothing" {
	local i
	make_versions
	layerctl tag v@2 keep
	layerctl rename v a
	for i in $(seq 20); do
		layerctl rename a z
		layerctl rename z a
	done &
	for i in $(seq 6); do
		layerctl new "garbage-$i" --from src
		layerctl rm "garbage-$i"
		layerctl gc
	done
	wait $!
	layerctl gc
	is_version v.1 a@1
	is_version v.2 a:keep
	is_version v.3 a
	layerctl fsck
	json_is '["a"]' '[.volumes[].name]' layerctl ls
}

@test "what a session is on top of is refused, whether it is attached or not" {
	make_versions
	layerctl mount v m
	echo more >m/more
	layerctl commit v
	fails 5 'session .* of volume v is on top .* --discard' \
		layerctl rm v@3
	fails 5 'volume v has session .* finalize' layerctl rm v
	fails 5 'volume v has session' layerctl rm --force v
	layerctl rm v@2
	layerctl unmount m
	fails 5 'is on top' layerctl rm v@3
	fails 5 'volume v has session' layerctl rm v
	layerctl gc
	layerctl mount v m
	[ "$(cat m/more)" = more ]
	echo again >>m/more
	layerctl finalize v
	layerctl rm v@3
	layerctl gc
	[ "$(layerctl cat v:/more)" = "$(printf 'more\nagain')" ]
	layerctl mount v m
	layerctl unmount m --discard
	layerctl rm v
}

@test "what is mounted read-only is refused with its place, and stays" {
	local digest
	make_versions
	digest=$(layerctl show v@2 --json | jq -r .version.digest)
	layerctl mount --ro v@2 m2
	fails 5 "mounted read-only at .*/m2" layerctl rm v@2
	fails 5 "volume v is mounted read-only at .*/m2" layerctl rm v
	layerctl gc
	dump m2 >is
	same_dump v.2 is
	layerctl unmount m2
	layerctl mount "$digest" m2
	fails 5 "mounted read-only at .*/m2" layerctl rm v@2
	# The volume can go: the mount keeps its version by itself.
	layerctl rm v
	json_is 2 .versions layerctl gc
	dump m2 >is
	same_dump v.2 is
	stop_daemon KILL
	find state/cache -mindepth 1 -delete
	layerctl fork "$digest" w
	layerctl unmount m2
	is_version v.2 w
}

@test "a mount unmounted by hand keeps nothing" {
	make_versions
	layerctl mount --ro v@2 m2
	umount m2
	# It may have been handed out a moment ago and not be attached yet.
	stop_daemon
	python3 - <<-'E'
		import sqlite3
		c = sqlite3.connect("state/catalog.db")
		c.execute("UPDATE mount SET created = created - 100")
		c.commit()
	E
	layerctl rm v@2
	json_is 1 .versions layerctl gc
}

@test "what has the device number of a mount that is gone keeps nothing" {
	make_versions
	layerctl mount --ro v@2 m2
	umount m2
	mount -t tmpfs none m2
	stop_daemon
	python3 - "$(stat -c %d m2)" <<-'E'
		import sqlite3, sys
		c = sqlite3.connect("state/catalog.db")
		c.execute("UPDATE mount SET created = created - 100, device = ?",
		          (sys.argv[1],))
		c.commit()
	E
	layerctl rm v@2
	json_is 1 .versions layerctl gc
	umount m2
}

@test "a mount that nobody remembers stays readable" {
	make_versions
	layerctl mount --ro v@2 m2
	stop_daemon KILL
	rm state/catalog.db*
	layerctl reset v v@1
	layerctl rm v@2 v@3
	json_is '[2,2]' '[.versions, .cached_layers]' layerctl gc
	dump m2 >is
	same_dump v.2 is
	umount m2
	is_version v.1 v
}

@test "forks keep what they were made from" {
	local digest
	make_versions
	layerctl fork v@2 w
	digest=$(layerctl show w --json | jq -r .version.digest)
	layerctl mount --ro w m
	layerctl rm v@2
	json_is 0 .versions layerctl gc
	layerctl rm v
	json_is 2 .versions layerctl gc
	layerctl unmount m
	is_version v.2 w
	[ "$(layerctl show "${digest:0:20}" --json | jq -r .version.digest)" = \
		"$digest" ]
	layerctl log w
	layerctl mount w m
	echo new >m/new
	dump m >w.2
	layerctl finalize w
	is_version w.2 w
}

@test "until it is collected a removed version is had by its digest" {
	local digest
	make_versions
	digest=$(layerctl show v@2 --json | jq -r .version.digest)
	layerctl rm v@2
	layerctl fork "$digest" w
	json_is 0 .versions layerctl gc
	is_version v.2 w
	layerctl rm w
	layerctl gc
	fails 3 'no version with that digest' layerctl fork "$digest" w
	fails 3 'no version' layerctl fork "${digest:0:20}" w
	# What comes before it is not known any more.
	json_is 1 '.versions | length' layerctl log \
		"$(layerctl show v@3 --json | jq -r .version.digest)"
}

@test "the same data is stored anew after it was collected" {
	make_versions
	layerctl rm v
	layerctl gc
	layerctl new w --from src
	is_version v.1 w
	layerctl rm w
	layerctl new w --from src
	json_is 1 .versions layerctl gc
	is_version v.1 w
	stop_daemon
	rm -r state/catalog.db* state/cache
	is_version v.1 w
}

@test "gc beside commits of the same data harms none of them" {
	local i n=0 committer
	mkdir src
	head -c 300000 /dev/urandom >src/a
	head -c 300000 /dev/urandom >src/b
	layerctl new keep --from src
	(
		set -e
		for i in {1..12}; do
			layerctl -q new "x$i" --from src
			layerctl -q mount "x$i" m
			cp src/a m/copy
			head -c 100000 /dev/urandom >m/own
			layerctl -q commit "x$i"
			cat src/a src/b >m/both
			dump m >"x$i.dump"
			layerctl -q finalize "x$i"
			[ $((i % 3)) = 0 ] || layerctl -q rm "x$i"
		done
	) &
	committer=$!
	while kill -0 "$committer" 2>/dev/null; do
		layerctl gc --json >>gcs
		n=$((n + 1))
	done
	wait "$committer"
	[ "$n" -gt 1 ]
	layerctl gc
	for i in 3 6 9 12; do
		is_version "x$i.dump" "x$i"
	done
	layerctl rm keep x3 x6 x9 x12
	layerctl gc
	[ -z "$(find state/store -type f ! -name layerd.json)" ]
}

@test "a dry run says what gc does, and changes nothing" {
	make_versions
	layerctl rm v@1 v@2
	everything >before
	layerctl gc --dry-run --json >dry
	everything | diff before -
	json_is true .dry_run layerctl gc --dry-run
	layerctl gc --json >wet
	diff <(jq -S 'del(.dry_run, .dead, .kept)' dry) \
		<(jq -S 'del(.dry_run, .dead, .kept)' wet)
	everything | not cmp -s before -
	is_version v.3 v
	layerctl gc --dry-run | grep -q '^would free 0 B of the store'
}

@test "packs that are needed in part are kept and counted" {
	mkdir src
	head -c 3000000 /dev/urandom >src/much
	head -c 300000 /dev/urandom >src/little
	layerctl new v --from src
	rm src/much
	layerctl new w --from src
	layerctl rm v
	layerctl gc --json >result
	jq -e '.packs == 0 or .kept_packs > 0' result
	jq -e '.dead > 2900000 and .dead < .kept' result
	dump src >w.1
	is_version w.1 w
	layerctl gc | grep -q 'are not needed any more'
}

@test "leftovers of a killed writer go, those of a living one stay" {
	make_versions
	touch -d '2 minutes ago' state/store/.tmp-0123456789abcdef
	touch -d '2 minutes ago' state/store/.tmp-fedcba9876543210
	exec 8>>state/store/.tmp-fedcba9876543210
	flock 8
	layerctl gc
	exec 8>&-
	[ ! -e state/store/.tmp-0123456789abcdef ]
	[ -e state/store/.tmp-fedcba9876543210 ]
	layerctl gc
	[ ! -e state/store/.tmp-fedcba9876543210 ]
}

@test "nothing is deleted when something cannot be read" {
	local hex
	make_versions
	layerctl rm v@2
	hex=$(layerctl show v@1 --json | jq -r .version.digest)
	hex=${hex#sha256:}
	mv "state/store/blobs/sha256/$hex" aside
	everything >before
	fails 9 "v@1.*manifest.* missing" layerctl gc
	fails 9 "v@1.*manifest.* missing" layerctl gc --dry-run
	everything | diff before -
	mv aside "state/store/blobs/sha256/$hex"
	hex=$(layerctl show v@1 --json | jq -r '.version.layers[0].digest')
	mv "state/store/layers/${hex#sha256:}/places" aside
	fails 9 "v.*places is missing" layerctl gc
	mv aside "state/store/layers/${hex#sha256:}/places"
	# What is damaged for good can be removed all the same.
	hex=$(layerctl show v@1 --json | jq -r .version.digest)
	rm "state/store/blobs/sha256/${hex#sha256:}"
	layerctl rm v@1
	layerctl gc
	is_version v.3 v
	echo broken >state/store/volumes/v/head.json
	fails 9 'head.json is damaged' layerctl gc
}

@test "versions whose volume has lost its record are kept" {
	local record=state/store/volumes/v/head.json
	make_versions
	mv "$record" aside
	fails 9 'v has versions but no record' layerctl gc
	mv aside "$record"
	layerctl gc
	is_version v.1 v@1
	is_version v.3 v
}

@test "wrong references are refused" {
	local digest
	make_versions
	digest=$(layerctl show v@1 --json | jq -r .version.digest)
	fails 2 'a digest says no volume' layerctl rm "$digest"
	fails 2 'a digest says no volume' layerctl rm "${digest:0:20}"
	fails 3 'no volume w' layerctl rm w
	fails 3 'no volume w' layerctl rm w@1
	fails 3 'no version 9' layerctl rm v@9
	fails 3 'no tag x' layerctl rm v:x
	fails 2 'rm needs REF' layerctl rm
	fails 2 'one argument too many' layerctl gc v
	layerctl new empty
	# What comes before the wrong one is removed.
	fails 3 'no volume w' layerctl rm empty w v@1
	fails 3 'no volume empty' layerctl show empty
	is_version v.1 v@1
	json_is '["v@1","v@2"]' '[.removed[].reference]' layerctl rm v@1 v@2
}
