# SPDX-License-Identifier: Apache-2.0
#
# Volumes through mount(8), umount(8) and fstab(5). mount(8) looks for helpers
# in /sbin; this file's mount namespace has mount.layer there, the host has not.

load helper

setup_file() {
	need_root
	mkdir "$BATS_FILE_TMPDIR/sbin"
	ln -s "$BUILD/helpers/mount.layer" "$BATS_FILE_TMPDIR/sbin"
	mount -t overlay -o "lowerdir=$BATS_FILE_TMPDIR/sbin:$(realpath /sbin)" \
		overlay "$(realpath /sbin)"
}

teardown_file() {
	umount "$(realpath /sbin)"
}

make_versions() {
	mkdir src
	echo 1 >src/f
	layerctl new v --from src
}

options() {
	findmnt -no VFS-OPTIONS "$1"
}

@test "mount(8) mounts and umount(8) unmounts; the session goes on" {
	make_versions
	mount -t layer v m
	[ "$(findmnt -no SOURCE m)" = v@1 ]
	echo 2 >m/f
	umount m
	not mountpoint -q m
	json_is '["v","detached"]' '.sessions[0] | [.volume, .state]' \
		layerctl sessions
	mount -t layer v m
	[ "$(cat m/f)" = 2 ]
	umount m
	layerctl mount v m | grep 'had not sealed'
	layerctl finalize v
	json_is '[]' .sessions layerctl sessions
	mount -t layer v@1 m
	mount -t layer v@2 m2
	[ "$(cat m/f m2/f)" = $'1\n2' ]
	not touch m/x
	umount m m2
}

@test "mount.layer starts a daemon, and works without mount(8)" {
	make_versions
	stop_daemon
	"$BUILD/helpers/mount.layer" v m -v | grep -F "v mounted on $T/m, writable"
	umount m
	"$BUILD/helpers/mount.layer" -v v "$T/m" -o ro -t layer |
		grep 'read-only'
	umount m
	"$BUILD/helpers/mount.layer" -f v m
	not mountpoint -q m
	"$BUILD/helpers/mount.layer" --version | grep '^mount.layer [0-9]'
}

@test "options of one mount are applied, by mount(8) and layerctl alike" {
	local list=nosuid,nodev,noexec,noatime,nosymfollow
	make_versions
	mount -t layer -o "$list" v m
	[[ $(options m) = rw,nosuid,nodev,noexec,noatime,nosymfollow ]]
	umount m
	layerctl mount v m -o "$list"
	[[ $(options m) = rw,nosuid,nodev,noexec,noatime,nosymfollow ]]
	layerctl unmount m
	layerctl mount v m
	[[ $(options m) = rw,relatime ]]
	layerctl unmount m
	layerctl mount v m -o noexec,noatime -o exec,strictatime
	[[ $(options m) = rw ]]
	layerctl unmount m --discard
	layerctl mount v m -o ro
	[[ $(options m) = ro,relatime ]]
	layerctl unmount m
	mount -t layer -o ro,noexec v m
	[[ $(options m) = ro,noexec,relatime ]]
	not touch m/x
	umount m
}

@test "what noexec forbids is forbidden, for the session as a whole not" {
	layerctl new v
	layerctl mount v m -o noexec
	cp "$(type -P true)" m/
	not m/true
	layerctl unmount m
	layerctl mount v m
	m/true
	layerctl finalize v
}

@test "options stay when a mount is put back" {
	local list
	layerctl new v
	for list in noexec,noatime,nosymfollow nodev,strictatime nodiratime; do
		layerctl mount v m -o "$list"
		options m >want
		exec 4>m/f
		fails 5 'in use' layerctl finalize v
		exec 4>&-
		options m | diff want -
		layerctl unmount m
	done
	layerctl finalize v
}

@test "lines of fstab are mounted, once" {
	make_versions
	cat >fstab <<-END
		v    $T/m   layer  noauto,x-systemd.automount,_netdev,user,exec  0 0
		v@1  $T/m2  layer  ro,nofail,noatime,X-note=mine,comment=a,nodev  0 0
	END
	LIBMOUNT_FSTAB=$T/fstab mount m
	[[ $(options m) = rw,nosuid,nodev,relatime ]]
	umount m
	mount -a -T fstab
	not mountpoint -q m
	[[ $(options m2) = ro,nodev,noatime ]]
	sed -i 's/noauto,//' fstab
	mount -a -T fstab
	mountpoint -q m
	# What is mounted stays as it is.
	mount -a -T fstab
	[ "$(grep -c " $T/m " /proc/self/mountinfo)" = 1 ]
	[ "$(grep -c " $T/m2 " /proc/self/mountinfo)" = 1 ]
	umount m m2
}

@test "only the same mount counts as mounted already" {
	make_versions
	layerctl new w
	mount -t layer v m
	mount -t layer v m
	fails 32 'is a mount point already \(v@1\)' mount -t layer w m
	fails 32 'is a mount point already' mount -t layer -o ro v m
	fails 32 'is a mount point already' mount -t layer v@1 m
	fails 32 'mounted for writing at' mount -t layer v m2
	umount m
	mount -t layer v@1 m
	fails 32 'is a mount point already' mount -t layer v m
	mount -t layer v@1 m
	umount m
}

@test "failures have mount's exit status and one sentence" {
	make_versions
	fails 1 "'colour=red' is not|'colour' is not a mount option" \
		mount -t layer -o colour=red v m
	mount -s -t layer -o colour=red v m
	umount m
	fails 1 "'sync' cannot be had of a volume" mount -t layer -o sync v m
	fails 2 "'colour' is not a mount option" \
		layerctl mount v m -o colour=red
	fails 2 "'remount' cannot be had" layerctl mount v m -o ro,remount
	fails 32 'no volume x' mount -t layer x m
	fails 32 'no version 9' mount -t layer v@9 m
	fails 1 '' mount -t layer 'V V' m
	touch file
	fails 1 'not a directory' "$BUILD/helpers/mount.layer" v file
	fails 32 'does not exist' "$BUILD/helpers/mount.layer" v nothing
	fails 1 'a reference and a directory' "$BUILD/helpers/mount.layer" v
	fails 1 'not the type layer' "$BUILD/helpers/mount.layer" v m -t ext4
	touch v
	fails 1 'is a path, not a volume' mount -t layer v m
	mount -c -t layer v m
	umount m
	json_is 1 '.sessions | length' layerctl sessions
}

@test "mount -N mounts in another namespace" {
	local other
	make_versions
	unshare --mount --propagation private sleep 1000 3>&- &
	other=$!
	wait_for "[ \"\$(readlink /proc/$other/ns/mnt)\" != \
		\"\$(readlink /proc/self/ns/mnt)\" ]"
	mount -N "$other" -t layer v "$T/m"
	not mountpoint -q m
	grep -q " $T/m .* v@1 " "/proc/$other/mountinfo"
	layerctl finalize v
	not grep -q " $T/m " "/proc/$other/mountinfo"
	"$BUILD/helpers/mount.layer" v@1 "$T/m" -N "/proc/$other/ns/mnt"
	not mountpoint -q m
	grep -q " $T/m .* v@1 " "/proc/$other/mountinfo"
	kill "$other"
}

@test "who may not mount is refused, and leaves nothing" {
	make_versions
	chmod 755 "$T"
	chmod 777 run run/layerd.sock
	fails 1 'needs CAP_SYS_ADMIN' setpriv --reuid 1000 --clear-groups \
		"$BUILD/helpers/mount.layer" v "$T/m"
	json_is '[]' .sessions layerctl sessions
}

@test "what plain umount left behind is taken away" {
	make_versions
	mount -t layer v@1 m
	umount m
	json_is '[]' .mounts layerctl sessions
	[ "$(ls run/lower | wc -l)" = 1 ]
	stop_daemon
	# It might have been on its way to its place within the first minute.
	sqlite3 state/catalog.db 'UPDATE mount SET created = created - 100'
	layerctl status >/dev/null
	[ "$(sqlite3 state/catalog.db 'SELECT count(*) FROM mount')" = 0 ]
	[ "$(ls run/lower | wc -l)" = 0 ]
}
