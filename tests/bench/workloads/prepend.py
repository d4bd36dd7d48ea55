# SPDX-License-Identifier: Apache-2.0
"""What a version costs in which a large file has ten more bytes in front."""

import os

from benchlib.machine import disk_usage, random_file, sync
from benchlib.measure import limit

MIB = 1 << 20


def prepend(path):
    with open(path, "rb") as old, open(path + ".new", "wb") as new:
        new.write(b"ten bytes!")
        while piece := old.read(MIB):
            new.write(piece)
    os.rename(path + ".new", path)


def run(context):
    mib = context.size(1024, 128)
    daemon = context.daemon("layerd").start()
    store = os.path.join(daemon.state, "store")
    daemon.ctl("new", "data")
    path = os.path.join(daemon.mount("data", context.path("mount")), "file")
    random_file(path, mib * MIB)
    daemon.ctl("commit", "data")
    sync()
    before = disk_usage(store)
    prepend(path)
    seconds, reply = daemon.timed("commit", "data")
    sync()
    what = f"prepend 10 bytes to {mib} MiB, commit: "
    return [
        limit(what + "new bytes in the store", [disk_usage(store) - before],
              "B", 4 * MIB),
        limit(what + "new bytes in packs", [reply["stored"]], "B", 4 * MIB),
        limit(what + "time", [seconds], "s"),
    ]
