# SPDX-License-Identifier: Apache-2.0
"""A commit of one changed file among many in the upper directory."""

import os

from benchlib.measure import limit, rounds


def run(context):
    count = context.size(100000, 20000)
    daemon = context.daemon("layerd").start()
    daemon.ctl("new", "work")
    mount = daemon.mount("work", context.path("mount"))
    context.files("tree", os.path.join(mount, "tree"), count, 64)
    daemon.ctl("commit", "work")

    def once(i):
        path = os.path.join(mount, "tree", "directory-1", f"file-{1000 + i}")
        with open(path, "a", encoding="ascii") as f:
            f.write("changed\n")
        return daemon.timed("commit", "work")[0]

    samples = rounds({"commit": once}, context.repeat)
    return [limit(f"commit one changed file among {count:,} in the upper",
                  samples["commit"], "s", 1.0, 0.2)]
