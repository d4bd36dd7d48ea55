# SPDX-License-Identifier: Apache-2.0
"""Samples, and the rows of the table that are made from them.

Contenders take turns within a repetition, and who begins changes with each, so
that what else the machine does hits all of them. A ratio is the median of the
ratios within the repetitions.
"""

import statistics
from dataclasses import asdict, dataclass, field

from benchlib.machine import say, sync


def rounds(contenders, repeat, warm_up=False, settle=sync):
    """Calls each of {name: function of the repetition}, all in turns.

    Gives {name: [what the function gave, ...]}. warm_up: one round first that
    does not count, numbered -1."""
    names = list(contenders)
    samples = {name: [] for name in names}
    for name in names if warm_up else ():
        contenders[name](-1)
    for i in range(repeat):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            settle()
            samples[name].append(contenders[name](i))
    for name in names:
        say_samples(name, samples[name])
    return samples


def say_samples(name, samples):
    say("    " + name + ": " + " ".join(f"{s:.4g}" for s in samples))


@dataclass
class Row:
    """One line: ours, the other's where there is one, and what is asked."""
    workload: str
    ours: str
    against: str = ""
    theirs: str = ""
    result: float = None  # a ratio, or the value that has a limit
    must: float = None
    aim: float = None
    is_ratio: bool = True
    unit: str = ""
    samples: dict = field(default_factory=dict)

    def verdict(self):
        if self.must is None and self.aim is None:
            return ""
        if self.meets(self.aim):
            return "aim reached"
        if self.must is None:
            return "below the aim"
        return "reached" if self.meets(self.must) else "MISSED"

    def meets(self, bound):
        if bound is None:
            return False
        if not self.is_ratio:
            return self.result <= bound
        # Bounds have two digits, and so has the table.
        return round(self.result, 2) >= bound

    def as_json(self):
        return asdict(self) | {"verdict": self.verdict()}


def size_text(n):
    for unit in ("B", "KiB", "MiB"):
        if abs(n) < 1024:
            return f"{n:.0f} {unit}" if n >= 10 or unit == "B" \
                else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.2f} GiB"


def time_text(seconds):
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.2f} s"


def rate_text(amount, seconds, unit):
    rate = amount / seconds
    if unit == "B":
        return f"{rate / 1e9:.2f} GB/s" if rate >= 1e9 \
            else f"{rate / 1e6:.0f} MB/s"
    return f"{rate:,.0f} {unit}/s"


def value_text(value, unit):
    return {"s": time_text, "B": size_text}[unit](value)


def speed(workload, ours, against, theirs, amount, unit, must=None, aim=None):
    """Seconds of ours and theirs for an amount of unit ("B", "files")."""
    ratios = [b / a for a, b in zip(ours, theirs)]
    return Row(workload,
               rate_text(amount, statistics.median(ours), unit), against,
               rate_text(amount, statistics.median(theirs), unit),
               statistics.median(ratios), must, aim,
               samples={"ours": ours, "theirs": theirs})


def duration(workload, ours, against, theirs, must=None, aim=None):
    """Like speed(), shown as the time it took."""
    ratios = [b / a for a, b in zip(ours, theirs)]
    return Row(workload, time_text(statistics.median(ours)), against,
               time_text(statistics.median(theirs)),
               statistics.median(ratios), must, aim,
               samples={"ours": ours, "theirs": theirs})


def limit(workload, ours, unit, must=None, aim=None):
    """A value that must stay below bounds; unit is "s" or "B"."""
    middle = statistics.median(ours)
    return Row(workload, value_text(middle, unit), result=middle, must=must,
               aim=aim, is_ratio=False, unit=unit, samples={"ours": ours})


def size_ratio(workload, ours, against, theirs):
    """Bytes of ours and theirs; the ratio is how much smaller ours is."""
    return Row(workload, size_text(ours), against, size_text(theirs),
               theirs / ours, samples={"ours": [ours], "theirs": [theirs]})
