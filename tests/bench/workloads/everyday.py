# SPDX-License-Identifier: Apache-2.0
"""Everyday commands on a volume with many files and many versions, and the
memory that layerd takes for them; layerctl gets 512 MiB at most."""

import os

from benchlib.measure import limit, rounds

MIB = 1 << 20


def make_volume(context, daemon, files, versions):
    daemon.ctl("new", "large")
    mount = daemon.mount("large", context.path("mount"))
    daemon.ctl("commit", "large", "-m", "empty")
    context.files("tree", os.path.join(mount, "tree"), files, 64)
    daemon.ctl("finalize", "large")
    daemon.mount("large", mount)
    for i in range(versions - 2):
        with open(os.path.join(mount, "step"), "w", encoding="ascii") as f:
            f.write(f"{i}\n")
        daemon.ctl("commit", "large", "-m", f"step {i}", "--label",
                   f"step={i}")
    daemon.ctl("finalize", "large")


def run(context):
    files = context.size(1000000, 20000)
    versions = context.size(1000, 50)
    daemon = context.daemon("layerd").start()
    make_volume(context, daemon, files, versions)
    newest = daemon.ctl("show", "large")["version"]["reference"]
    quick = {
        "ls": ["ls"],
        "log": ["log", "large"],
        "show": ["show", newest],
        "tag": ["tag", newest, "best", "--move"],
        "label": ["label", newest, "best=yes"],
        "find": ["find", "--label", f"step={versions // 2}"],
    }
    slow = {
        "ls -R of the newest version": ["ls", "-R", "large"],
        "ls -R --json of it": ["ls", "-R", "large", "--json"],
        "log --json": ["log", "large", "--json"],
        "du": ["du", "large"],
        "diff of all files": ["diff", "large@1", newest],
        "diff --json of all files": ["diff", "large@1", newest, "--json"],
        "fsck": ["fsck"],
        "gc": ["gc"],
    }
    what = f"{files:,} files, {versions:,} versions"
    daemon.reset_peak()
    samples = rounds({name: lambda i, argv=argv: daemon.typed(*argv)
                      for name, argv in quick.items()}, context.repeat,
                     warm_up=True)
    rows = [limit(f"{name}, {what}", samples[name], "s", 0.05, 0.01)
            for name in quick]
    for name, argv in slow.items():
        rows.append(limit(f"{name}, {what}",
                          [daemon.typed(*argv, memory=512 * MIB)], "s"))
    rows.append(limit(f"memory of layerd for all of these, {what}",
                      [daemon.peak()], "B", 512 * MIB))
    return rows
