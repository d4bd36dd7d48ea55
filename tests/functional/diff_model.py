# SPDX-License-Identifier: Apache-2.0
"""What differs between two dumps of dump.py, as `layerctl diff --json` has it."""

import re

KNOWN = ("mtime=", "rdev=", "target=", "size=", "data=", "sha256=", "link=")


def unescape(text):
    """Names in dumps and in the API, as bytes."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]),
                  text.encode())


def parse(dump):
    objects = {}
    for line in dump.splitlines():
        path, kind, mode, owner, *rest = line.split(" ")
        fields = {x.split("=", 1)[0]: x for x in rest if x.startswith(KNOWN)}
        if "link" in fields:
            first = objects[unescape(fields["link"].split("=", 1)[1])]
            content = first["content"]
        else:
            content = tuple(fields.get(k) for k in ("rdev", "target", "size",
                                                    "sha256"))
        objects[b"" if path == "." else unescape(path)] = {
            "type": kind, "mode": mode, "owner": owner,
            "time": fields["mtime"] if kind != "dir" else None,
            "xattr": [x for x in rest if not x.startswith(KNOWN)],
            "content": content}
    return objects


def what(before, after):
    if before["type"] != after["type"]:
        return ("type",)
    return tuple(sorted(k for k in before if before[k] != after[k]))


def expected(before, after):
    """{(kind, path, what)} without renames."""
    found = set()
    for path in before.keys() | after.keys():
        if path not in before:
            found.add(("added", path, ()))
        elif path not in after:
            found.add(("removed", path, ()))
        elif before[path] != after[path]:
            found.add(("changed", path, what(before[path], after[path])))
    return found


def reported(differences):
    return {(d["kind"], unescape(d["path"]), tuple(sorted(d["what"])))
            for d in differences}


def without_renames(differences, before, after):
    """The same set from a diff with renames; raises on one that is none."""
    found = set()
    for d in differences:
        if d["kind"] != "renamed":
            found |= reported([d])
            continue
        old, new = unescape(d["from"]), unescape(d["path"])
        if before[old]["content"] != after[new]["content"]:
            raise ValueError("%r is not %r renamed" % (new, old))
        found |= {("removed", old, ()), ("added", new, ())}
    return found
