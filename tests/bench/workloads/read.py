# SPDX-License-Identifier: Apache-2.0
"""Reading a large file, never from the disk.

Warm: all of it was read before through the same mount. Fresh: the tarball is in
the page cache, but the mount was just made, so that the kernel has nothing of
the file itself and copies every byte once more when it is first read. Measured
as the warm ones are, over and over for the same seconds, and, as a control of
what the kernel can do, once through, beside an EROFS image of mkfs.erofs that
holds the same file and was mounted just as freshly.
"""

import os

from benchlib.machine import (drop_caches, fio, random_file, read_through,
                              run as command)
from benchlib.measure import rounds, speed

PATTERNS = (("1 MiB in order", "read", "1M"),
            ("4 KiB at random", "randread", "4k"))


def warm(context, paths, size, seconds):
    """With pages that were taken at the same time: how fast a page is copied
    depends on what the host of a virtual machine has behind it (pages of 4 KiB
    or 2 MiB), and so on when it was taken."""
    rows = []
    for what, pattern, piece in PATTERNS:
        drop_caches()
        read_through(*paths.values())
        samples = rounds(
            {name: lambda i, path=path: 1 / fio(path, pattern, piece, seconds)
             for name, path in paths.items()}, context.repeat)
        what = f"read {size} MiB, {what}, in page cache"
        for name in ("version", "session"):
            rows.append(speed(f"{what}, {name}", samples[name], "ext4",
                              samples["ext4"], 1, "B", 0.95, 1.0))
        rows.append(speed(f"{what}, version", samples["version"],
                          "plain overlayfs on ext4", samples["plain"], 1, "B"))
    return rows


def remount(daemon, mount):
    """At once: the host of a virtual machine takes back what has been free for
    two seconds (free page reporting), and gives it again page by page. The new
    mount has the pages of the old one."""
    read_through(daemon.layer_tar("data@1"))
    daemon.ctl("unmount", mount)
    daemon.drop_images()
    daemon.mount("data@1", mount)
    return os.path.join(mount, "file")


def fresh(context, daemon, plain, mount, size, seconds):
    def ours(pattern, piece):
        return 1 / fio(remount(daemon, mount), pattern, piece, seconds)

    def theirs(pattern, piece):
        read_through(plain)
        return 1 / fio(plain, pattern, piece, seconds)

    rows = []
    for what, pattern, piece in PATTERNS:
        samples = rounds({
            "version": lambda i: ours(pattern, piece),
            "ext4": lambda i: theirs(pattern, piece),
        }, context.repeat)
        rows.append(speed(
            f"read {size} MiB, {what}, tarball in page cache, mount fresh",
            samples["version"], "ext4, in page cache", samples["ext4"], 1, "B",
            0.8, 0.95))
    return rows


def first_pass(context, daemon, plain, mount, size):
    """Once through, where every byte is copied twice."""
    image = context.path("image")
    command("mkfs.erofs", image, os.path.dirname(plain))
    peer = context.make("peer")

    def ours(pattern, piece):
        return 1 / fio(remount(daemon, mount), pattern, piece)

    def erofs(pattern, piece):
        read_through(image)
        if os.path.ismount(peer):
            command("umount", peer)
        command("mount", "-t", "erofs", "-o", "ro,loop", image, peer)
        return 1 / fio(os.path.join(peer, "file"), pattern, piece)

    def ext4(pattern, piece):
        read_through(plain)
        return 1 / fio(plain, pattern, piece)

    rows = []
    for what, pattern, piece in PATTERNS:
        samples = rounds({
            "version": lambda i: ours(pattern, piece),
            "mkfs.erofs": lambda i: erofs(pattern, piece),
            "ext4": lambda i: ext4(pattern, piece),
        }, context.repeat)
        what = f"read {size} MiB, {what}, first pass of a fresh mount"
        rows.append(speed(what, samples["version"],
                          "image of mkfs.erofs, loop device, as fresh",
                          samples["mkfs.erofs"], 1, "B"))
        rows.append(speed(what, samples["version"], "ext4, in page cache",
                          samples["ext4"], 1, "B"))
    return rows


def run(context):
    size = context.size(1024, 256)
    seconds = context.size(5, 1)
    plain = context.path("plain", "file")
    random_file(plain, size << 20)
    daemon = context.daemon("layerd").start()
    daemon.ctl("new", "data", "--from", os.path.dirname(plain))
    version = daemon.mount("data@1", context.path("version"))
    session = daemon.mount("data", context.path("session"))
    overlay = context.overlay("overlay", os.path.dirname(plain))
    rows = warm(context, {"version": os.path.join(version, "file"),
                          "session": os.path.join(session, "file"),
                          "plain": os.path.join(overlay, "file"),
                          "ext4": plain}, size, seconds)
    daemon.ctl("unmount", session, "--discard")
    rows += fresh(context, daemon, plain, version, size, seconds)
    return rows + first_pass(context, daemon, plain, version, size)
