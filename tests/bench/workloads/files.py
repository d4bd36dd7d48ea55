# SPDX-License-Identifier: Apache-2.0
"""Making, walking and examining many small files in a mount.

Both mounts are on a base of a hundred files: a layer here, a plain directory
there. The first round, which reads the disk's tables of inodes, does not count;
the others are short and differ by a half, so there are five times as many.
Nothing is removed before the end: ext4 searches long for inodes among those
that were freed a moment ago.
"""

import os

from benchlib.measure import rounds, speed

WALKS = 9


def contenders(context):
    """{who: a directory of theirs on the same disk}"""
    base = context.path("base")
    context.files("tree", base, 100, 64)
    daemon = context.daemon("layerd").start()
    daemon.ctl("new", "many", "--from", base)
    return {
        "layerd": daemon.mount("many", context.path("mount")),
        "plain overlayfs": context.overlay("plain", base),
        "bare disk": context.make("bare"),
    }


def run(context):
    count = context.size(20000, 4000)
    directories = contenders(context)
    walked = {name: [] for name in directories}

    def measure(name, directory):
        def once(i):
            path = os.path.join(directory, f"tree-{i}")
            seconds = context.files("create", path, count)
            context.files("walk", path, 1)
            walk = context.files("walk", path, WALKS)
            if i >= 0:
                walked[name].append(walk)
            return seconds
        return once

    created = rounds({name: measure(name, directory)
                      for name, directory in directories.items()},
                     context.repeat * 5, warm_up=True)
    rows = []
    for what, samples in ((f"create {count:,} empty files", created),
                          (f"walk and stat {count:,} files", walked)):
        ours = samples["layerd"]
        rows.append(speed(what, ours, "plain overlayfs",
                          samples["plain overlayfs"], count, "files",
                          must=0.97, aim=1.0))
        rows.append(speed(what, ours, "bare disk", samples["bare disk"],
                          count, "files"))
    return rows
