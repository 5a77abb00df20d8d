"""What suites share: the machine they ran on, the table of a result, and text for people."""

import math
import os
import platform
import statistics
import subprocess
import time


def machine():
    """What the reader must know of the machine. Takes a second, in which it is to do nothing else."""
    busy, total = cpu_times()
    time.sleep(1)
    busy, total = (after - before for after, before in zip(cpu_times(), (busy, total)))
    return {
        "cpus": os.cpu_count(),
        "cpu": first(open("/proc/cpuinfo"), "model name") or platform.machine(),
        "kernel": platform.release(),
        "memory_gib": round(int(first(open("/proc/meminfo"), "MemTotal").split()[0]) / 2**20),
        "load_before": os.getloadavg()[0],
        "foreign_cpu": round(busy / total, 3) if total else None,
    }


def first(lines, name):
    """The value of the first `name: value`."""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def cpu_times():
    """(busy, all) ticks of the whole machine since boot."""
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def commit(root):
    answer = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return answer.stdout.strip() or None


def orders(subjects, rounds):
    """The order of the subjects in each round: each goes first in turn, so none always follows the same one's leftovers."""
    return [subjects[turn % len(subjects) :] + subjects[: turn % len(subjects)] for turn in range(rounds)]


def series(result, subject, metric):
    """The samples of one metric, by round; None where it was not measured."""
    return [one["samples"].get(subject, {}).get(metric) for one in result["rounds"]]


def paired(result, left, right):
    """The ratios of two (subject, metric) within each round that has both."""
    pairs = zip(series(result, *left), series(result, *right))
    return [one / other for one, other in pairs if one is not None and other]


def middle(values):
    """The mean of the middle half, of few their median: what strays does not count, and not all the rest is thrown away."""
    values = sorted(values)
    out = math.ceil(len(values) / 4) if len(values) > 2 else 0
    return statistics.fmean(values[out : len(values) - out])


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def tabulate(result, base):
    """Median, min and max of every metric of every subject, and the median ratio to `base` where there is one."""
    table = {}
    for one in result["rounds"]:
        for subject in one["samples"]:
            table.setdefault(subject, {})
    for subject, row in table.items():
        for metric in result["metrics"]:
            values = [value for value in series(result, subject, metric) if value is not None]
            if not values:
                continue
            row[metric] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
            ratio = median(paired(result, (subject, metric), (base, metric))) if base else None
            if ratio is not None:
                row[metric]["ratio"] = ratio
    return table


def number(value):
    """Three digits that count, no more."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100_000:
        return f"{value / 1000:.0f}k"
    if abs(value) >= 10_000:
        return f"{value / 1000:.1f}k"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}"


def cell(entry):
    """median [min-max] ×ratio"""
    if entry is None:
        return "-"
    text = f"{number(entry['median'])} [{number(entry['min'])}-{number(entry['max'])}]"
    return text + (f" ×{entry['ratio']:.2f}" if "ratio" in entry else "")


def grid(rows):
    """Lines of text with aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
