# SPDX-License-Identifier: Apache-2.0
#
# Keeping volumes in order: tag, reset.

load helper

make_versions() {
	mkdir src
	echo 1 >src/f
	layerctl new v --from src
	layerctl mount v m
	echo 2 >m/f
	layerctl commit v
}

@test "a tag stands for a version until it is moved or deleted" {
	make_versions
	layerctl tag v@1 stable
	[ "$(layerctl cat v:stable:f)" = 1 ]
	layerctl tag v@1 stable
	fails 4 'v:stable is version sha256:.* --move' layerctl tag v@2 stable
	[ "$(layerctl cat v:stable:f)" = 1 ]
	json_is '["v:stable",true]' '[.reference, .previous != null]' \
		layerctl tag --move v stable
	[ "$(layerctl cat v:stable:f)" = 2 ]
	json_is '["stable"]' .version.tags layerctl show v@2
	json_is '[]' .version.tags layerctl show v@1
	layerctl tag v@1 also
	json_is '["also","stable"]' '[.tags[].name]' layerctl tag v
	layerctl mount v:also m2
	[ "$(cat m2/f)" = 1 ]
	layerctl unmount m2
	layerctl tag --delete v:stable
	fails 3 'no tag stable' layerctl show v:stable
	fails 3 'no tag stable' layerctl tag --delete v:stable
	json_is '["also"]' '[.tags[].name]' layerctl tag v
}

@test "tags outlive the daemon and the catalog" {
	make_versions
	layerctl tag v@1 stable
	stop_daemon KILL
	rm state/catalog.db*
	[ "$(layerctl cat v:stable:f)" = 1 ]
}

@test "what is no tag is refused" {
	local digest
	make_versions
	fails 2 'is not a tag' layerctl tag v@1 'two words'
	fails 2 'is not a tag' layerctl tag v@1 -- -x
	fails 3 'no version 7' layerctl tag v@7 x
	fails 3 'no volume w' layerctl tag w x
	digest=$(layerctl show v --json | jq -r .version.digest)
	fails 2 'a tag belongs to one' layerctl tag "$digest" x
	fails 2 'v@1 is no tag' layerctl tag --delete v@1
	fails 2 'takes one' layerctl tag --delete v:x y
	json_is '[]' .tags layerctl tag v
}

@test "of many tags at once none is lost" {
	local i
	make_versions
	for i in {1..20}; do
		layerctl tag v@1 "t$i" &
	done
	wait
	json_is 20 '.tags | length' layerctl tag v
}

@test "reset minds no lease of a session that is gone" {
	local file=state/store/volumes/v/head.json

	make_versions
	fails 5 'volume v has session' layerctl reset v v@1
	reboot
	jq -e '.lease.session' "$file" >/dev/null
	rm -r state/sessions/*
	json_is '"v@3"' .version.reference layerctl reset v v@1
	layerctl mount v m
	[ "$(cat m/f)" = 1 ]
	layerctl unmount v
}

@test "reset makes an older version the newest, and loses none" {
	make_versions
	fails 5 'volume v has session' layerctl reset v v@1
	layerctl finalize v
	json_is '["v@4",4]' '[.version.reference, 4]' layerctl reset v v@1
	[ "$(layerctl cat v:/f)" = 1 ]
	[ "$(layerctl cat v@2:f)" = 2 ]
	json_is 4 '.versions | length' layerctl log v
	# Once more changes nothing.
	layerctl reset v v@1
	json_is 4 '.versions | length' layerctl log v
	layerctl mount v m
	[ "$(cat m/f)" = 1 ]
	echo 3 >m/f
	layerctl finalize v
	[ "$(layerctl cat v@5:f)" = 3 ]
	fails 3 'no volume w' layerctl reset w v@1
	fails 3 'no version 9' layerctl reset v v@9
}
