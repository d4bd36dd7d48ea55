# SPDX-License-Identifier: Apache-2.0
#
# Files of the base that have several names, of which the upper directory has
# only some, or none.

load helper

setup_links() {
	mkdir -p src/D
	echo base >src/a
	ln src/a src/b
	echo base >src/D/x
	ln src/D/x src/D/y
	layerctl new v --from src
	layerctl mount v m
}

# The newest version is the mount.
same_as_sealed() {
	layerctl mount --ro v m2
	dump m >live
	dump m2 >sealed
	layerctl unmount m2
	same_dump live sealed
}

@test "what was appended through a name that is gone is under the other" {
	setup_links
	echo more >>m/a
	rm m/a
	[ "$(cat m/b)" = $'base\nmore' ]
	layerctl commit v
	same_as_sealed
	json_is 2 '.version.layers | length' layerctl show v
	layerctl commit v
	json_is 2 '.version.layers | length' layerctl show v
}

@test "writes to an open file whose name is gone reach its other name" {
	setup_links
	exec 4>>m/a
	rm m/a
	layerctl commit v
	sleep 0.1
	echo late >&4
	exec 4>&-
	layerctl commit v
	same_as_sealed
}

@test "names linked in a renamed directory stay linked after later commits" {
	setup_links
	mv m/D m/E
	layerctl commit v
	echo more >>m/E/x
	layerctl commit v
	same_as_sealed
	[ m/E/x -ef m/E/y ]
}

@test "a link in the place of a directory with linked names is no error" {
	setup_links
	ln m/D/x m/c
	mv m/D m/E
	ln -s E m/D
	layerctl commit v
	echo more >>m/c
	layerctl commit v
	same_as_sealed
}
