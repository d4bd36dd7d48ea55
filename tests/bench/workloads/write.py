# SPDX-License-Identifier: Apache-2.0
"""Writing a large file into a mount, made durable at the end."""

import os

from benchlib.measure import rounds, speed


def run(context):
    mib = context.size(1024, 256)
    daemon = context.daemon("layerd").start()
    daemon.ctl("new", "large")
    directories = {
        "layerd": daemon.mount("large", context.path("mount")),
        "bare disk": context.make("bare"),
    }

    def measure(directory):
        def once(i):
            path = os.path.join(directory, f"file-{i}")
            seconds = context.files("write", path, mib)
            os.unlink(path)
            return seconds
        return once

    samples = rounds({name: measure(d) for name, d in directories.items()},
                     context.repeat, warm_up=True)
    return [speed(f"write {mib} MiB, fsync", samples["layerd"], "bare disk",
                  samples["bare disk"], mib << 20, "B", must=0.9, aim=1.0)]
