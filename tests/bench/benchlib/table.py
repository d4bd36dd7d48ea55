# SPDX-License-Identifier: Apache-2.0
"""The rows as a markdown table, and as JSON."""

import json

from benchlib.measure import value_text

HEAD = ["workload", "layerd", "against", "which does", "ratio", "must reach",
        "aim for", ""]


def bound_text(row, bound):
    if bound is None:
        return ""
    return f"{bound:g}" if row.is_ratio else value_text(bound, row.unit)


def cells(row):
    return [row.workload, row.ours, row.against, row.theirs,
            f"{row.result:.2f}" if row.is_ratio else "",
            bound_text(row, row.must), bound_text(row, row.aim),
            row.verdict()]


def machine_line(machine):
    return (f"{machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, "
            f"{machine['file_system']} on {machine['device']}, "
            f"{machine['date']}")


def markdown(machine, rows):
    lines = [machine_line(machine), "",
             "| " + " | ".join(HEAD) + " |",
             "|---|" + "---:|---|" + "---:|" * 4 + "---|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def write_json(path, machine, options, rows):
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"machine": machine, "options": options,
                   "rows": [row.as_json() for row in rows]}, f, indent=1)
        f.write("\n")
