"""The gates with their measured values, as a section of SPECIFICATION.md: written by `./bench --record`, never by hand."""

import datetime

import gates
import results

BEGIN, END = "<!-- gates: written by ./bench --record -->", "<!-- end of gates -->"
HEADING = ["| area | what is compared | gate | measured | |", "|---|---|---|---|---|"]
UNMEASURED = "- | *not yet measured* |"


def of_run(name, result):
    """A paragraph: when and where a suite was measured."""
    facts, settings = result["machine"], result["settings"]
    how = "the quick run" if settings.get("quick") else "the full run"
    return (
        f"Suite `{name}`, {datetime.date.today().isoformat()}, {how} of {settings.get('rounds', '?')} rounds at {result.get('commit', '?')}: "
        f"{facts['cpus']} CPUs ({facts['cpu']}), {facts['memory_gib']} GiB, Linux {facts['kernel']}, "
        f"{facts['foreign_cpu'] or 0:.0%} of it busy with other work before."
    )


def of_gate(judgement):
    verdict = {gates.MET: "met", gates.MISSED: "**missed**"}.get(judgement.verdict)
    return f"{results.number(judgement.value)} | {verdict} |" if verdict else UNMEASURED


def row(gate):
    """How a gate's row begins."""
    return f"| {gate.area} | {gate.what} | {gate.limit()} | "


def section(old, suites, judgements, all_gates):
    """The lines between the markers; what this run has not measured stays as it was."""
    runs = {line.split("`")[1]: line for line in old if line.startswith("Suite `")}
    runs |= {name: of_run(name, result) for name, result in suites.items()}
    judged = {judgement.gate: of_gate(judgement) for judgement in judgements}
    before = {row(gate): line[len(row(gate)) :] for gate in all_gates for line in old if line.startswith(row(gate))}
    rows = [row(gate) + judged.get(gate, before.get(row(gate), UNMEASURED)) for gate in all_gates]
    paragraphs = [line for run in runs.values() for line in (run, "")]
    return [*paragraphs, *HEADING, *rows]


def record(file, suites, judgements, all_gates=None):
    """Replaces what is between the markers of the file."""
    before, rest = file.read_text().split(BEGIN, 1)
    old, after = rest.split(END, 1)
    lines = section(old.splitlines(), suites, judgements, gates.GATES if all_gates is None else all_gates)
    file.write_text("\n".join([before + BEGIN, *lines, END]) + after)
