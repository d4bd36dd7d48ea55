# SPDX-License-Identifier: Apache-2.0
"""Reading a large file, never from the disk.

Warm: all of it was read before through the same mount. Fresh: the tarball is in
the page cache, but the mount was just made, so that the kernel has nothing of
the file itself. That is shown twice: for the same seconds of reading as warm,
and for reading the file just once, when every byte has to be copied two times.
"""

import os

from benchlib.machine import Failed, fio, random_file, read_through
from benchlib.measure import rounds, speed

PATTERNS = (("1 MiB in order", "read", "1M"),
            ("4 KiB at random", "randread", "4k"))


def warm(context, paths, size, seconds):
    rows = []
    for what, pattern, piece in PATTERNS:
        read_through(*paths.values())
        samples = rounds(
            {name: lambda i, path=path: 1 / fio(path, pattern, piece, seconds)
             for name, path in paths.items()}, context.repeat * 2)
        what = f"read {size} MiB, {what}, in page cache"
        for name in ("version", "session"):
            rows.append(speed(f"{what}, {name}", samples[name], "ext4",
                              samples["ext4"], 1, "B", 0.95, 1.0))
        rows.append(speed(f"{what}, version", samples["version"],
                          "plain overlayfs on ext4", samples["plain"], 1, "B"))
    return rows


def fresh(context, daemon, plain, mount, size, seconds):
    tar = daemon.layer_tar("data@1")
    target = (0.8, 0.95) if seconds else (None, None)

    def ours(pattern, piece):
        daemon.ctl("unmount", mount)
        if daemon.images():
            raise Failed("the image is still mounted")
        read_through(tar)
        daemon.mount("data@1", mount)
        return 1 / fio(os.path.join(mount, "file"), pattern, piece, seconds)

    def theirs(pattern, piece):
        read_through(plain)
        return 1 / fio(plain, pattern, piece, seconds)

    rows = []
    for what, pattern, piece in PATTERNS:
        samples = rounds({
            "version": lambda i: ours(pattern, piece),
            "ext4": lambda i: theirs(pattern, piece),
        }, context.repeat)
        time = f"{seconds} s" if seconds else "once"
        rows.append(speed(
            f"read {size} MiB, {what}, {time}, tarball in page cache, "
            "mount fresh", samples["version"], "ext4, in page cache",
            samples["ext4"], 1, "B", *target))
    return rows


def run(context):
    size = context.size(1024, 256)
    seconds = context.size(2, 1)
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
    return rows + fresh(context, daemon, plain, version, size, None)
