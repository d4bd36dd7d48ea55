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

# What find says, as references in one line.
found() {
	layerctl find --name-only "$@" | xargs
}

@test "find tells versions of all volumes, newest first" {
	make_versions
	layerctl new w --from src -m "of another volume" --label best=true
	[ "$(found)" = "w@1 v@2 v@1" ]
	[ "$(found -n 2)" = "w@1 v@2" ]
	[ "$(found --volume v)" = "v@2 v@1" ]
	[ "$(found --label best=true)" = w@1 ]
	[ "$(found --label best)" = w@1 ]
	[ "$(found --label best=false)" = "" ]
	[ "$(found --message "the f")" = v@1 ]
	[ "$(found --message THE)" = "" ]
	[ "$(found --label run=1 --message second)" = "" ]
	layerctl label v@2 best=true run=1
	[ "$(found --label best=true)" = "w@1 v@2" ]
	[ "$(found --label best=true --label run)" = v@2 ]
	layerctl label -d v@1 run
	[ "$(found --label run)" = v@2 ]
	json_is '["v@2","true","v@2"]' '.versions[0] | [.version.reference,
		.version.labels.best, .places[].reference]' \
		layerctl find --volume v
	[[ $(layerctl find --volume v | head -1) == v@2*"the second"* ]]
	# Nothing found is no error.
	[ "$(layerctl find --label none)" = "" ]
	json_is '[]' .versions layerctl find --label none
}

@test "find tells a version of several volumes once, with all its places" {
	make_versions
	layerctl fork v@1 a
	layerctl fork v@1 w
	layerctl tag a@1 best
	layerctl reset v v@1
	[ "$(found)" = "v@2 v@1" ]
	json_is '["a@1:best","v@1:","v@3:","w@1:"]' '[.versions[1].places[] |
		.reference + ":" + (.tags | join(","))]' layerctl find
	[ "$(found --volume w)" = w@1 ]
	layerctl label w@1 mine=yes
	[ "$(found --label mine)" = w@1 ]
}

@test "find knows since when and until when" {
	make_versions
	[ "$(found --since 1h)" = "v@2 v@1" ]
	[ "$(found --until 1h)" = "" ]
	[ "$(found --since "$(date +%F)" --until "$(date -d tomorrow +%F)")" = \
		"v@2 v@1" ]
	[ "$(found --since "$(date -d tomorrow +%F)")" = "" ]
	[ "$(found --since 1970-01-01T00:00:00Z --until 1d)" = "" ]
	fails 2 '"soon" is not a time; write a date' layerctl find --since soon
	fails 2 'is later than' layerctl find --since 1h --until 2h
	fails 2 "'0' is not a number of versions" layerctl find -n 0
	fails 2 'given twice' layerctl find --label a=1 --label a
	fails 3 'no volume w' layerctl find --volume w
	fails 2 'one argument too many' layerctl find v
}

@test "find follows the store, whatever the catalog says" {
	make_versions
	[ "$(found)" = "v@2 v@1" ]
	stop_daemon KILL
	rm state/catalog.db*
	[ "$(found --label run=1)" = v@1 ]
	stop_daemon
	# What is in the store no more is not found, and what took its name is.
	rm state/store/volumes/v/1
	[ "$(found)" = v@2 ]
	mkdir src2
	layerctl new other --from src2 -m "another v"
	stop_daemon
	mv state/store/volumes/v old
	mv state/store/volumes/other state/store/volumes/v
	sed -i 's/"other"/"v"/' state/store/volumes/v/head.json
	[ "$(found --message another)" = v@1 ]
	[ "$(found)" = v@1 ]
	# A version that cannot be read costs no other one.
	stop_daemon
	rm -r state/store/volumes/v state/catalog.db*
	mv old state/store/volumes/v
	rm "state/store/blobs/sha256/$(cut -d: -f2 state/store/volumes/v/2)"
	layerctl new fine --from src
	[ "$(found)" = fine@1 ]
}

@test "rename takes versions, numbers, tags and labels along" {
	local digest
	make_versions
	layerctl tag v@1 stable
	layerctl label v@2 best=true
	[ "$(found)" = "v@2 v@1" ]
	digest=$(layerctl show v@1 --json | jq -r .version.digest)
	json_is '"w"' .volume layerctl rename v w
	[ "$(layerctl ls)" = w ]
	fails 3 'no volume v' layerctl show v
	json_is "[\"$digest\",\"v\"]" '[.version.digest, .version.volume]' \
		layerctl show w:stable
	json_is '["w@2","w@1"]' '[.versions[].reference]' layerctl log w
	json_is '"true"' .version.labels.best layerctl show w@2
	[ "$(found)" = "w@2 w@1" ]
	[ "$(found --label best)" = w@2 ]
	layerctl mount w m
	echo 3 >m/f
	layerctl finalize w
	[ "$(layerctl cat w@3:f)" = 3 ]
	# The old name is free.
	layerctl new v --from src
	[ "$(found --volume v)" = v@1 ]
	layerctl new empty
	layerctl rename empty still-empty
	fails 3 'has no version yet' layerctl show still-empty
}

@test "rename is refused while the volume has a session" {
	make_versions
	layerctl mount v m
	fails 5 'volume v has session .*finalize v.*--discard' \
		layerctl rename v w
	layerctl unmount v
	fails 5 'volume v has session' layerctl rename v w
	layerctl unmount v --discard
	layerctl rename v w
	[ "$(layerctl ls)" = w ]
}

@test "rename is refused for names that cannot be" {
	make_versions
	layerctl new w
	fails 4 'there is a volume w already' layerctl rename v w
	fails 2 'has that name already' layerctl rename v v
	fails 2 'name' layerctl rename v 'No Good'
	fails 2 'name' layerctl rename v ../x
	fails 3 'no volume x' layerctl rename x y
	fails 2 'needs NEW' layerctl rename v
	[ "$(layerctl ls | xargs)" = "v w" ]
	[ "$(layerctl cat v@1:f)" = 1 ]
}

@test "read-only mounts of a renamed volume go on under its old name" {
	make_versions
	layerctl mount --ro v@1 m2
	layerctl rename v w
	[ "$(cat m2/f)" = 1 ]
	json_is '["v@1"]' '[.mounts[].reference]' layerctl sessions
	stop_daemon
	[ "$(cat m2/f)" = 1 ]
	layerctl unmount m2
	json_is '[]' .mounts layerctl sessions
}

# The graph without its times.
graph() {
	layerctl log --graph "$@" | sed 's/  20[0-9-]* [0-9:]*//'
}

@test "log --graph draws versions and forks" {
	make_versions
	layerctl tag v@1 stable
	layerctl tag v@1 best
	layerctl fork v@1 w
	layerctl mount w m
	echo w >m/f
	layerctl finalize w -m "in the fork"
	layerctl fork v@2 x
	layerctl new alone --from src -m "something else"
	cat >want <<-'END'
	* w@2  in the fork
	| * v@2, x@1  the second
	|/
	* v@1 (best, stable), w@1  the first
	END
	diff want <(graph v)
	diff want <(graph w)
	diff want <(graph x)
	[ "$(graph alone)" = "* alone@1  something else" ]
	diff <(graph alone; cat want) <(graph)
	# What was reset to is where the line goes on.
	layerctl reset v v@1
	layerctl mount v m
	echo again >m/f
	layerctl finalize v -m "again"
	cat >want <<-'END'
	* v@4  again
	| * w@2  in the fork
	| | * v@2, x@1  the second
	|_|/
	|/
	* v@1 (best, stable), v@3 (best, stable), w@1  the first
	END
	diff want <(graph v)
}

@test "log --graph is bounded, and says so" {
	make_versions
	[ "$(graph -n 1 2>said)" = "* v@2  the second" ]
	grep -q 'not all versions; --limit N' said
	[ "$(graph -n 2 2>said | wc -l)" = 2 ]
	[ ! -s said ]
	graph -q -n 1 2>said
	[ ! -s said ]
	fails 2 'graph draws for people' layerctl log --graph --json
	fails 2 'log needs NAME, or --graph' layerctl log
	fails 3 'no volume w' layerctl log --graph w
	fails 2 'name' layerctl log --graph v@1
	[ "$(layerctl log --graph | grep -c $'\033')" = 0 ]
}

@test "log --graph fits the terminal" {
	local line
	mkdir src
	layerctl new v --from src -m "$(seq -s ' ' 100)"
	TERM=xterm script -qec 'stty cols 50; layerctl log --graph' /dev/null |
		tr -d '\r' | sed 's/\x1b\[[0-9]*m//g' >got
	line=$(grep 'v@1' got)
	[ ${#line} -le 50 ]
	[ ${#line} -ge 45 ]
	[[ $(layerctl log --graph) == *"99 100" ]]
}

@test "names that are nearly right are asked for" {
	make_versions
	layerctl new training-data
	layerctl tag v@1 stable
	fails 3 'no volume trainig-data; did you mean training-data\? "' \
		layerctl show trainig-data
	fails 3 'did you mean training-data\?' layerctl mount traning-dat m
	fails 3 'did you mean training-data\?' layerctl find --volume trianing-data
	fails 3 'no volume x; "layerctl ls"' layerctl show x
	fails 3 'no tag stabel; did you mean stable\?' layerctl show v:stabel
	fails 3 'no tag stabel; did you mean stable\?' layerctl tag -d v:stabel
	fails 3 'no tag other; "' layerctl show v:other
	fails 2 "did you mean 'rename'" layerctl renmae v w
	# What was renamed is not there to be meant.
	layerctl rename training-data other
	fails 3 'no volume training-dat; "layerctl ls"' \
		layerctl show training-dat
	fails 3 'no volume training-data; "layerctl ls"' \
		layerctl show training-data
}
