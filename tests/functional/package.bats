# SPDX-License-Identifier: Apache-2.0
#
# The Debian package, installed for real: in a copy-on-write view of this host,
# below $T/root, that is thrown away. The host is not touched.

load helper

setup_file() {
	need_root
	command -v dpkg-shlibdeps >/dev/null || skip "needs dpkg-dev"
	mkdir -p "$BATS_FILE_TMPDIR/deb"
	"$HELPER_DIR/../../tools/package-deb" "$BATS_FILE_TMPDIR/deb" \
		>"$BATS_FILE_TMPDIR/path" 2>"$BATS_FILE_TMPDIR/log" || {
		tail -50 "$BATS_FILE_TMPDIR/log"
		return 1
	}
	export DEB
	DEB=$(cat "$BATS_FILE_TMPDIR/path")
}

# The upper directory is on a file system of its own: overlayfs refuses one that
# is below its lower directory.
make_root() {
	truncate -s 8G disk.img
	mkfs.ext4 -q disk.img
	mkdir disk root
	mount -o loop disk.img disk
	mkdir disk/upper disk/work disk/state
	mount -t overlay -o \
		"lowerdir=/,upperdir=$T/disk/upper,workdir=$T/disk/work" \
		overlay root
	mkdir -p root/var/lib/layerd
	# An upper directory cannot be on overlayfs.
	mount --bind disk/state root/var/lib/layerd
	mount -t tmpfs tmpfs root/run
	mount --rbind /dev root/dev
	mount --rbind /sys root/sys
	cp "$DEB" root/run/layerd.deb
}

# Runs a script there, with processes of its own that end with it. What layerctl
# is told about this test's directories does not count.
in_root() {
	env -u LAYERD_STATE_DIR -u LAYERD_RUNTIME_DIR -u LAYERD_PROGRAM \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
		unshare --mount --pid --fork --kill-child --mount-proc="$T/root/proc" \
		chroot root bash -euxc "cd /; $1" 2>&1
}

@test "the package is complete, and says what it needs" {
	local path
	dpkg-deb -c "$DEB" >files
	for path in usr/bin/layerctl usr/sbin/layerd usr/sbin/mount.layer \
		usr/lib/systemd/system/layerd.service \
		usr/lib/systemd/system/layerd.socket usr/lib/sysusers.d/layerd.conf \
		usr/share/man/man8/mount.layer.8.gz usr/share/doc/layerd/copyright \
		usr/share/layerd/io.layerd.varlink; do
		grep -q " ./$path\$" files || {
			echo "$path is missing"
			return 1
		}
	done
	# Nothing is anybody else's, or may be changed by others.
	not grep -vE '^[-d]rwxr-xr-x root/root|^-rw-r--r-- root/root' files
	dpkg-deb -f "$DEB" Depends | grep -q 'libjansson4 .*libmount1'
	[ -z "$(dpkg-deb -I "$DEB" conffiles 2>/dev/null)" ]
	dpkg-deb -x "$DEB" x
	[[ $(x/usr/bin/layerctl --version) =~ ^layerctl\ [0-9.]+\ \(.*\)$ ]]
	[ "$(x/usr/sbin/layerd --version | cut -d' ' -f2-)" = \
		"$(x/usr/bin/layerctl --version | cut -d' ' -f2-)" ]
}

@test "Debian's own check finds no error in it" {
	command -v lintian >/dev/null || skip "needs lintian"
	lintian --allow-root --fail-on error "$DEB"
}

@test "its units are sound" {
	command -v systemd-analyze >/dev/null || skip "needs systemd-analyze"
	dpkg-deb -x "$DEB" x
	# The program is not there on this host.
	sed -i "s,^ExecStart=,ExecStart=$T/x," x/usr/lib/systemd/system/layerd.service
	systemd-analyze verify --man=no --recursive-errors=no \
		x/usr/lib/systemd/system/layerd.{service,socket} >out 2>&1 || true
	cat out
	not grep -i layerd out
	# What would give the daemon a mount namespace of its own.
	not grep -E '^(Private(Tmp|Devices|Mounts)|Protect(System|Home|Kernel.*|ControlGroups|Proc)|ReadWritePaths|RuntimeDirectory|StateDirectory|TemporaryFileSystem|BindPaths|RootDirectory|CapabilityBoundingSet)=' \
		x/usr/lib/systemd/system/layerd.service
}

@test "it is installed, used, removed, purged and installed again" {
	make_root
	in_root '
		dpkg -i /run/layerd.deb
		getent group layer
		layerctl --version
		layerctl new v
		[ "$(stat -c "%a %G" /run/layerd/layerd.sock)" = "660 layer" ]
		mkdir /mnt/v
		layerctl mount v /mnt/v
		echo 1 >/mnt/v/f
		layerctl commit v -m first
		mount -t layer v@1 /mnt -o noexec
		[ "$(cat /mnt/f)" = 1 ]
		umount /mnt
		echo 2 >/mnt/v/f

		# A daemon that was running ends, a mount stays.
		pid=$(layerctl status | sed -n "s/^process *//p")
		dpkg -r layerd
		[ ! -e "/proc/$pid" ]
		[ ! -e /usr/bin/layerctl ]
		[ "$(cat /mnt/v/f)" = 2 ]
		dpkg -P layerd 2>&1 | tee /run/purge
		grep -q "left as they are in /var/lib/layerd" /run/purge
		[ "$(cat /mnt/v/f)" = 2 ]

		# Another installation finds all of it again.
		dpkg -i /run/layerd.deb
		layerctl finalize v
		[ "$(layerctl cat v@1:/f)$(layerctl cat v@2:/f)" = 12 ]
		# Over itself.
		dpkg -i /run/layerd.deb
		[ "$(layerctl cat v:/f)" = 2 ]
		dpkg -P layerd
		[ ! -e /run/layerd ]
		[ -e /var/lib/layerd/store/volumes/v/head.json ]
		rmdir /mnt/v
	'
	find disk/upper -name '*layer*' ! -path disk/upper/var/lib/layerd >left
	cat left
	[ ! -s left ]
	umount -R root
	umount disk
}
