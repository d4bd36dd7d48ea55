# SPDX-License-Identifier: Apache-2.0
"""What differs between two versions of a million files."""

import os

from benchlib.measure import limit, rounds

CHANGES = 100


def run(context):
    count = context.size(1000000, 50000)
    daemon = context.daemon("layerd").start()
    daemon.ctl("new", "files")
    mount = daemon.mount("files", context.path("mount"))
    tree = os.path.join(mount, "tree")
    context.files("tree", tree, count, 64)
    daemon.ctl("commit", "files")
    changed = 0
    for directory, _, names in os.walk(tree):
        if names and changed < CHANGES:
            changed += 1
            with open(os.path.join(directory, names[0]), "ab") as f:
                f.write(b"changed")
    daemon.ctl("finalize", "files")

    def diff(_):
        seconds, reply = daemon.timed("diff", "files@1", "files@2")
        found = len(reply["differences"])
        if found != changed:
            raise RuntimeError(f"diff found {found} of {changed} changes")
        return seconds

    samples = rounds({"diff": diff}, context.repeat, warm_up=True)
    return [limit(f"diff of two versions of {count:,} files, {changed} changes",
                  samples["diff"], "s", 2.0, 0.1)]
