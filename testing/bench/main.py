"""`./bench`, once its namespaces are there: runs the suites, prints, draws, judges."""

import argparse
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import gates  # noqa: E402
import results  # noqa: E402
import specification  # noqa: E402

SUITES = ("paths", "control", "changes")
CHARTED = {"paths": ("raw", ["tcp_1", "tcp_4", "tcp_1_nogso", "rr_p50", "rr_p99", "connect_1", "connect_4", "pps_1", "pps_1k", "pps_100k", "new_flows", "cpu_1_nogso"])}  # fmt: skip


def parser():
    parser = argparse.ArgumentParser(prog="./bench", description="Benchmarks beside what a user would use instead.")
    parser.add_argument("--quick", action="store_true", help="some 5 minutes: what gates need, in shorter samples, fewer rounds, smaller worlds")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a gate is missed")
    parser.add_argument("--record", action="store_true", help="write the gates with their values into SPECIFICATION.md")
    parser.add_argument("--suite", action="append", choices=available(), help="only this one; may be repeated")
    parser.add_argument("--only", type=lambda text: text.split(","), help="only these subjects of a suite, by commas")
    parser.add_argument("--rounds", type=int, help="instead of the suite's own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw samples [default: .cache/bench/samples.json]")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="SVG [default: beside the samples]")
    return parser


def available():
    return [suite for suite in SUITES if (HERE / suite / "suite.py").exists()]


def chosen(options):
    """The suites by name; with --only those that have some of these subjects. Ends with 2 where nothing would run."""
    suites = {name: importlib.import_module(f"{name}.suite") for name in options.suite or available()}
    if not options.only:
        return suites
    unknown = set(options.only).difference(*(suite.SUBJECTS for suite in suites.values()))
    if unknown:
        there = ", ".join(subject for suite in suites.values() for subject in suite.SUBJECTS)
        parser().error(f"nothing in {', '.join(suites)} is called {', '.join(sorted(unknown))}; there are {there}")
    return {name: suite for name, suite in suites.items() if not set(suite.SUBJECTS).isdisjoint(options.only)}


def main():
    options = parser().parse_args()
    # What was started is ended also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.binaries = Path(os.environ["BENCH_BINARIES"])
    began = time.monotonic()
    options.say = lambda text: print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)
    measured = {}
    for name, suite in chosen(options).items():
        measured[name] = {**suite.run(options), "commit": results.commit(ROOT)}
        print(f"\n== {name} ==\n\n{suite.table(measured[name])}\n")
        print("\n".join(measured[name].get("notes", [])))
    write(options, measured)
    judgements = gates.judge(measured)
    print(f"\n== gates ==\n\n{gates.table(judgements)}\n")
    counted = {verdict: [one for one in judgements if one.verdict == verdict] for verdict in gates.VERDICTS}
    print(", ".join(f"{len(those)} {verdict.lower()}" for verdict, those in counted.items()) + ".")
    # What could not be measured is not met, unless it was left out by --only.
    missed = counted[gates.MISSED] + ([] if options.only else counted[gates.NOT_MEASURED])
    if options.record:
        specification.record(ROOT / "SPECIFICATION.md", measured, judgements)
    if options.check and missed:
        for judgement in missed:
            gate = judgement.gate
            print(f"missed: {gate.area}, {gate.what}: {results.number(judgement.value)}, not {gate.limit()}", file=sys.stderr)
        sys.exit(1)


def write(options, measured):
    file = options.json or ROOT / ".cache/bench/samples.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"suites": list(measured.values())}, indent=1, ensure_ascii=False) + "\n")
    print(f"\nsamples: {file}")
    for name, (base, metrics) in CHARTED.items():
        if base in measured.get(name, {}).get("table", {}):
            import chart

            drawing = options.chart or file.with_name(f"{name}.svg")
            chart.draw(measured[name], base, metrics, drawing)
            print(f"chart: {drawing}")


if __name__ == "__main__":
    main()
