"""The benchmark itself: that ratios are taken within rounds, that gates name what is measured, that traffic is counted."""

import os
import sys
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import gates  # noqa: E402
import results  # noqa: E402
import specification  # noqa: E402
from paths import groundplane, growth, linux, metrics  # noqa: E402
from paths.suite import GROWTH_METRICS  # noqa: E402

TRAFFIC = Path(os.environ.get("GROUNDPLANE", HERE.parents[1] / "target/debug/groundplane")).with_name("gp-bench-traffic")
PATHS = [*linux.PATHS, groundplane.SameHost, groundplane.Translated, growth.ManyRules, growth.ManyEnis]
METRICS = {**metrics.METRICS, **GROWTH_METRICS}


def result(*rounds):
    """Of rounds {subject: {metric: value}}."""
    names = {metric for one in rounds for row in one.values() for metric in row}
    machine = {"cpus": 2, "cpu": "A", "kernel": "6.1", "memory_gib": 4, "foreign_cpu": 0.5}
    made = {"metrics": dict.fromkeys(names), "rounds": [{"samples": one} for one in rounds], "machine": machine}
    return made | {"settings": {"rounds": len(rounds)}, "commit": "c0ffee"}


def of_all(value):
    return result({path.name: dict.fromkeys(METRICS, value) for path in PATHS})


def test_a_ratio_is_taken_within_each_round_and_then_the_median():
    made = result({"a": {"x": 10}, "b": {"x": 20}}, {"a": {"x": 100}, "b": {"x": 50}}, {"a": {"x": 5}, "b": {}})
    assert results.paired(made, ("b", "x"), ("a", "x")) == [2, 0.5]
    row = results.tabulate(made, "a")["b"]["x"]
    assert row == {"median": 35, "min": 20, "max": 50, "ratio": 1.25}
    assert results.tabulate(made, None)["a"]["x"] == {"median": 10, "min": 5, "max": 100}


def test_each_subject_goes_first_in_turn():
    assert results.orders(["a", "b", "c"], 4) == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_a_gate_forgives_noise_only_where_it_says_so():
    gate = gates.Gate("paths", "a", "w", gates.value("a", "x"), at_least=1.0)
    noisy = gates.Gate("paths", "a", "w", gates.value("a", "x"), at_least=1.0, slack=0.05)
    below = {"paths": result({"a": {"x": 0.96}})}
    assert [one.verdict for one in gates.judge(below, [gate, noisy])] == [gates.MISSED, gates.MET]
    most = gates.Gate("paths", "a", "w", gates.worst("a", "x"), at_most=0)
    assert gates.judge({"paths": result({"a": {"x": 0}}, {"a": {"x": 1}})}, [most])[0].verdict == gates.MISSED
    assert gates.judge({"paths": result({"b": {"x": 0}})}, [most])[0].verdict == gates.NOT_MEASURED
    assert gates.judge({}, [most]) == []


def test_every_gate_of_the_paths_names_what_is_measured():
    judged = gates.judge({"paths": of_all(1.0)})
    assert judged and all(one.verdict != gates.NOT_MEASURED for one in judged)


def test_what_is_recorded_replaces_what_was(tmp_path):
    file = tmp_path / "SPECIFICATION.md"
    file.write_text(f"before\n{specification.BEGIN}\nold\n{specification.END}\nafter\n")
    measured = {"paths": of_all(1.0)}
    for _ in range(2):
        specification.record(file, measured, gates.judge(measured))
    text = file.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count("| bulk TCP | 1 stream, groundplane : raw | >= 0.95 | 1.00 | met |") == 1
    assert "2 CPUs (A), 4 GiB, Linux 6.1, 50% of it busy" in text
    # A run of another suite leaves these alone.
    specification.record(file, {"other": result()}, [])
    text = file.read_text()
    assert text.count("Suite `") == 2 and text.count("| bulk TCP | 1 stream, groundplane : raw | >= 0.95 | 1.00 | met |") == 1


def test_the_specification_lists_every_gate():
    text = (HERE.parents[1] / "SPECIFICATION.md").read_text()
    assert [gate.what for gate in gates.GATES if f"| {gate.what} | {gate.limit()} |" not in text] == []


@pytest.mark.skipif(not TRAFFIC.exists(), reason="cargo build --bin gp-bench-traffic")
@pytest.mark.parametrize("shape", [linux.Raw, linux.Nftables])
def test_traffic_is_measured_between_two_namespaces(shape):
    # Beside a benchmark that runs, with names of its own.
    path = type("Mine", (shape,), {"name": "bt" + uuid.uuid4().hex[:6]})()
    try:
        meter = metrics.Meter(str(TRAFFIC), 0.1, many_flows=300, new_flows=200, realtime=0)
        measured = meter.measure(path, ("bulk", "connects", "first", "established", "new_and_overload"), pytest.fail)
        assert meter.run(path, "established", "--flows", 300, *meter.lanes(path))["flows"] == 300
    finally:
        path.close()
    assert all(measured[name] > 0 for name in ("tcp_1", "tcp_4_nogso", "connect_1", "pps_1", "pps_100k", "new_flows"))
