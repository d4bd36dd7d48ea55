# SPDX-License-Identifier: Apache-2.0
#
# Finding one's way among many versions: label, find, rename, log --graph.

load helper

# The volume v with two versions; the first is sealed with the label run=1.
make_versions() {
	mkdir src
	echo 1 >src/f
	layerctl new v --from src -m "the first" --label run=1
	layerctl mount v m
	echo 2 >m/f
	layerctl finalize v -m "the second"
}

@test "labels are set, changed and taken away after the seal" {
	make_versions
	layerctl label v@1 best=true run/id=7=8
	json_is '{"best":"true","run":"1","run/id":"7=8"}' .version.labels \
		layerctl label v@1
	layerctl label v@1 best=maybe empty=
	json_is '{"best":"maybe","empty":"","run":"1","run/id":"7=8"}' \
		.version.labels layerctl show v@1
	json_is '{}' .version.labels layerctl show v@2
	# What came with the manifest is overridden, and hidden.
	layerctl label v@1 run=2
	json_is '"2"' '.versions[1].labels.run' layerctl log v
	layerctl label -d v@1 run best empty run/id
	json_is '{}' .version.labels layerctl show v@1
	fails 3 'sha256:.* of volume v has no label run' \
		layerctl label -d v@1 run
	layerctl label v@1 run=1
	json_is '{"run":"1"}' .version.labels layerctl show v@1
	# The manifest says that already: nothing of it stays in the record.
	json_is 'false' 'has("labels")' record v
	[ "$(layerctl label v@1 | tail -1 | xargs)" = "run 1" ]
}

# The record of a volume, for json_is.
record() {
	cat "state/store/volumes/$1/head.json"
}

@test "labels change no version, and stay with the volume" {
	local digest
	make_versions
	digest=$(layerctl show v@1 --json | jq -r .version.digest)
	layerctl label v@1 best=true
	[ "$(layerctl show v@1 --json | jq -r .version.digest)" = "$digest" ]
	layerctl fork v@1 w
	json_is '{"run":"1"}' .version.labels layerctl show w
	layerctl label w@1 best=false
	json_is '"true"' .version.labels.best layerctl show v@1
	json_is '{"run":"1"}' .version.labels layerctl show "$digest"
	fails 2 'a label belongs to one' layerctl label "$digest" a=b
	# The version that came back has them again.
	layerctl reset v v@1
	json_is '"true"' .version.labels.best layerctl show v
	stop_daemon KILL
	rm state/catalog.db*
	json_is '"true"' .version.labels.best layerctl show v@3
}

@test "labels that break the rules are refused, and all with them" {
	make_versions
	fails 2 'not of the form KEY=VALUE' layerctl label v@1 best
	fails 2 "'b' is given twice" layerctl label v@1 b=1 b=2
	fails 2 "not a label's key" layerctl label v@1 ok=1 'No Good=1'
	fails 2 'has 4097 bytes' layerctl label v@1 ok=1 \
		"x=$(head -c 4097 /dev/zero | tr '\0' x)"
	fails 2 'not valid UTF-8' layerctl label v@1 $'x=\xff'
	fails 2 'needs the keys' layerctl label -d v@1
	fails 3 'has no label x' layerctl label -d v@1 run x
	fails 3 'no volume w' layerctl label w a=b
	fails 3 'no version 9' layerctl label v@9 a=b
	json_is '{"run":"1"}' .version.labels layerctl show v@1
}

@test "labels of a version and of a volume are bounded" {
	local i value
	make_versions
	layerctl label v@1 $(seq -f 'k%g=1' 255)
	fails 2 'at most 256 labels' layerctl label v@1 more=1
	layerctl label v@1 k1=2
	value=$(head -c 4096 /dev/zero | tr '\0' '\1')
	for i in {0..3}; do
		layerctl label v@2 $(seq -f "k%g=$value" $((i * 60)) \
			$((i * 60 + 59))) || break
	done
	[ "$i" -gt 0 ]
	fails 2 'may not let it grow' layerctl label v@2 \
		$(seq -f "l%g=$value" 100)
	# There is room for all else, and labels can be taken away.
	layerctl tag v@1 stable
	layerctl label -d v@2 k1
	layerctl mount v m
	layerctl finalize v
	json_is 3 '.versions | length' layerctl log v
}

@test "of many labels at once none is lost" {
	local i
	make_versions
	for i in {1..12}; do
		layerctl label v@2 "l$i=$i" &
	done
	wait
	json_is 12 '.version.labels | length' layerctl show v@2
}
