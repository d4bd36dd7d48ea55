# SPDX-License-Identifier: Apache-2.0
"""A version of a million files: the memory its seal takes, mounts, forks.

A mount is measured with its image mounted already (another mount uses it), with
no image mounted, and with nothing of it in the page cache either.
"""

import os

from benchlib.machine import drop_caches, sync
from benchlib.measure import limit, rounds

MIB = 1 << 20


def seal(context, daemon, name, count):
    """Seals count files out of a session; the daemon's peak of memory."""
    mount = daemon.mount(name, context.path("mount"))
    context.files("tree", os.path.join(mount, "tree"), count, 64)
    sync()
    daemon.reset_peak()
    daemon.ctl("finalize", name)
    return daemon.peak()


def mounts(context, daemon, name, count):
    path = context.make("mount")
    kept = context.make("kept")

    def again(reference, *unmount):
        seconds = daemon.timed("mount", reference, path)[0]
        daemon.ctl("unmount", path, *unmount)
        return seconds

    def once(reference, *unmount):
        daemon.drop_images()
        return again(reference, *unmount)

    def cold(_):
        daemon.drop_images()
        drop_caches()
        return again(f"{name}@1")

    fresh = rounds({
        "cold": cold,
        "image not mounted": lambda i: once(f"{name}@1"),
        "writable": lambda i: once(name, "--discard"),
    }, context.repeat)
    daemon.mount(f"{name}@1", kept)
    shared = rounds({"image mounted": lambda i: again(f"{name}@1")},
                    context.repeat)
    daemon.ctl("unmount", kept)
    what = f"mount a version of {count:,} files"
    return [
        limit(what + ", image in use", shared["image mounted"], "s", 0.05,
              0.01),
        limit(what + ", first mount", fresh["image not mounted"], "s", 0.05,
              0.01),
        limit(what + ", first mount, cold disk", fresh["cold"], "s"),
        limit(what + ", writable", fresh["writable"], "s", 0.05, 0.01),
    ]


def forks(context, daemon, name, count):
    samples = rounds({"fork": lambda i: daemon.timed(
        "fork", f"{name}@1", f"fork-{i}")[0]}, max(context.repeat, 5))
    return limit(f"fork a version of {count:,} files", samples["fork"], "s",
                 0.01)


def run(context):
    counts = context.size((100, 50000, 1000000), (100, 5000, 50000))
    daemon = context.daemon("layerd").start()
    rows = []
    for count in counts:
        name = f"files-{count}"
        daemon.ctl("new", name)
        peak = seal(context, daemon, name, count)
        rows += mounts(context, daemon, name, count)
    rows.append(forks(context, daemon, name, count))
    rows.append(limit(f"memory of layerd sealing {count:,} files", [peak],
                      "B", 512 * MIB, 256 * MIB))
    return rows
