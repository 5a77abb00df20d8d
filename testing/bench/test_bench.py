"""The benchmark itself: that ratios are taken within rounds, that gates name what is measured, that traffic is counted."""

import os
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import gates  # noqa: E402
import main  # noqa: E402
import results  # noqa: E402
import specification  # noqa: E402
from changes import suite as changes  # noqa: E402
from control import suite as control  # noqa: E402
from paths import groundplane, growth, linux, metrics, plan, suite  # noqa: E402
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


def test_of_many_turns_the_middle_half_counts():
    assert [results.middle(turns) for turns in ([5], [1, 3], [9, 1, 2], [0, 1, 3, 50], [0, 9, 1, 2, 6, 8, 4, 50])] == [5, 2, 2, 2, 5]


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


def planned(quick):
    """What a run measures: {path: {metric: 1}}."""
    paths = {path.name: path for path in PATHS}
    measured = {name: {} for name in paths} | {"enis": dict.fromkeys(GROWTH_METRICS, 1.0)}
    weighed = (metrics.MEMORY, plan.taking_part(paths, metrics.MEMORY, quick))
    for job, names in [*plan.of_round(paths, quick), weighed]:
        for name in names:
            measured[name] |= dict.fromkeys(job.metrics, 1.0)
    return measured


@pytest.mark.parametrize("quick", [False, True])
def test_what_a_run_measures_is_all_that_its_gates_need(quick):
    judged = gates.judge({"paths": result(planned(quick))})
    assert [one.gate.what for one in judged if one.verdict == gates.NOT_MEASURED] == []


def test_a_quick_run_leaves_out_what_no_gate_needs():
    quick, whole = planned(True), planned(False)
    assert set(whole["nft-10k"]) > set(quick["nft-10k"]) == {"connect_1"}
    assert "tcp_4_nogso" in whole["groundplane"] and not any({"tcp_4_nogso", "pps_1k", "rr_cross_p50"} & set(row) for row in quick.values())
    assert all(row.items() <= whole[name].items() for name, row in quick.items())
    assert [name for name, row in whole.items() if "overload_new" in row] == ["groundplane"]


def test_every_metric_is_measured_by_one_job():
    measured = [metric for job in (*metrics.JOBS, metrics.MEMORY) for metric in job.metrics]
    assert sorted(measured) == sorted(metrics.METRICS)


def test_what_the_gates_of_the_api_need_is_among_its_servers():
    needed = gates.needed("control")
    assert needed and set(needed) <= set(control.SUBJECTS) and all(names <= set(control.METRICS) for names in needed.values())


@pytest.mark.parametrize("quick", [False, True])
def test_each_server_of_the_api_is_first_in_turn_and_does_what_gates_need(quick):
    class Measured(SimpleNamespace):
        def measure(self, job, _writes, _seconds, _quick):
            return dict.fromkeys((*job.metrics, "rss"), 1.0)

    kinds = [("groundplane", 1_000), ("groundplane", 10_000), ("groundplane", 100_000), ("moto", 10_000)]
    servers = [Measured(kind=kind, name=f"{kind}-{enis}") for kind, enis in kinds]
    rounds = [control.take_round(servers, number, SimpleNamespace(quick=quick)) for number in range(9)]
    rounds[-1]["samples"]["groundplane-100000"]["start"] = 1.0
    assert {one["orders"]["create_16"][0] for one in rounds} == set(rounds[0]["orders"]["create_16"])
    assert all("by_id_16" in one["orders"] for one in rounds)
    judged = gates.judge({"control": result(*(one["samples"] for one in rounds))})
    assert judged and all(one.verdict != gates.NOT_MEASURED for one in judged)


def test_what_the_gates_of_changes_need_is_among_its_metrics():
    needed = gates.needed("changes")
    assert set(needed) == {"groundplane"} and needed["groundplane"] <= set(changes.METRICS)


def test_a_packet_disobeys_if_it_left_after_the_answer():
    # Allowed from 10 to 50 ms, revoked from 60 to 100 ms.
    at = lambda *milliseconds: [ms * 1_000_000 for ms in milliseconds]  # noqa: E731
    allows, revokes = [at(5, 10), at(100, 110)], [at(50, 60), at(150, 160)]
    sent = at(1, 20, 49, 55, 70, 95, 120)
    for heard, passed, lost in (
        ({1: 21, 2: 50, 6: 121}, 0, 0),
        # That of 49 ms may meet either; that of 95 ms was heard when it was allowed again.
        ({1: 21, 5: 105, 6: 121}, 0, 0),
        ({2: 50, 3: 56, 4: 71, 6: 121}, 1, 1),
    ):
        heard = {number: ms * 1_000_000 for number, ms in heard.items()}
        assert changes.disobeying(allows, revokes, sent, heard) == {"passed": passed, "lost": lost}


def test_only_the_suites_that_have_such_a_subject_run(capsys):
    options = SimpleNamespace(suite=None, only=["raw", "groundplane"])
    assert list(main.chosen(options)) == ["paths"]
    options.only = ["moto-1000", "raw"]
    assert list(main.chosen(options)) == ["paths", "control"]
    for options.suite, options.only, said in (
        (None, ["row"], "nothing in paths, control, changes is called row; there are raw, "),
        (["paths"], ["moto-1000"], "nothing in paths is called moto-1000; there are raw, "),
    ):
        with pytest.raises(SystemExit) as ended:
            main.chosen(options)
        assert ended.value.code == 2 and said in capsys.readouterr().err


OPTIONS = SimpleNamespace(say=lambda _text: None)


def test_a_round_goes_job_by_job_and_each_path_is_first_in_turn():
    class Measured:
        def __init__(self):
            self.done = []

        def measure(self, path, job, _say):
            self.done.append((job.name, path))
            return {job.metrics[0]: 1}

    jobs = [(metrics.Job(name, (name,)), names) for name, names in (("tcp_1", ["a", "b"]), ("tcp_4", ["a", "c"]))]
    meter = Measured()
    paths = {name: name for name in "abc"}
    rounds = [suite.take_round(meter, paths, jobs, number, OPTIONS) for number in range(2)]
    order = [("tcp_1", "a"), ("tcp_1", "b"), ("tcp_4", "a"), ("tcp_4", "c"), ("tcp_1", "b"), ("tcp_1", "a"), ("tcp_4", "c"), ("tcp_4", "a")]
    assert meter.done == order
    assert rounds[1]["orders"] == {"tcp_1": ["b", "a"], "tcp_4": ["c", "a"]}
    assert rounds[1]["samples"] == {"a": {"tcp_1": 1, "tcp_4": 1}, "b": {"tcp_1": 1}, "c": {"tcp_4": 1}}


def test_a_jobs_turns_are_one_figure_and_each_path_is_first_in_turn():
    figures = iter([{"pps_1": 1, "pps_1k": 1}, {"pps_1": 2}, {"pps_1": 4}, {"pps_1": 5}])
    meter, job = SimpleNamespace(measure=lambda path, job, _say: next(figures)), metrics.Job("pps", ("pps_1", "pps_1k"), turns=2)
    made = suite.take_round(meter, {"raw": "raw", "nft": "nft"}, [(job, ["raw", "nft"])], 1, OPTIONS)
    assert (made["orders"], made["samples"]) == ({"pps": ["raw", "nft", "nft", "raw"]}, {"raw": {"pps_1": 3}, "nft": {"pps_1": 3}})
    # As they were taken.
    assert made["turns"] == {"pps": {"raw": [{"pps_1": 1, "pps_1k": 1}, {"pps_1": 5}], "nft": [{"pps_1": 2}, {"pps_1": 4}]}}


def test_what_no_gate_needs_has_one_turn():
    meter, job = SimpleNamespace(measure=lambda path, job, _say: {"tcp_1": 1}), metrics.Job("tcp_1", ("tcp_1",), turns=2)
    made = suite.take_round(meter, {"bridge": "bridge", "raw": "raw"}, [(job, ["bridge", "raw"])], 0, OPTIONS)
    assert made["orders"]["tcp_1"] == ["bridge", "raw", "raw"]


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
        jobs = [job for job in metrics.JOBS if job.name != "neighbour"]
        measured = {job: meter.measure(path, job, pytest.fail) for job in jobs}
        assert meter.run(path, "established", "--flows", 300, *meter.lanes(path))["flows"] == 300
    finally:
        path.close()
    assert all(set(row) == set(job.metrics) for job, row in measured.items())
    figures = {metric: value for row in measured.values() for metric, value in row.items()}
    assert all(figures[name] > 0 for name in ("tcp_1", "tcp_4_nogso", "rr_p50", "connect_1", "pps_1", "pps_100k", "new_flows"))
