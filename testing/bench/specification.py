"""The gates with their measured values, as a section of SPECIFICATION.md: written by `./bench --record`, never by hand."""

import datetime

import gates
import results

BEGIN, END = "<!-- gates: written by ./bench --record -->", "<!-- end of gates -->"


def section(suites, judgements):
    """The lines between the markers."""
    lines = []
    for name, result in suites.items():
        facts, settings = result["machine"], result["settings"]
        day = datetime.date.today().isoformat()
        how = "the quick run" if settings.get("quick") else "the full run"
        lines.append(
            f"Suite `{name}`, {day}, {how} of {settings.get('rounds', '?')} rounds at {result.get('commit', '?')}: {facts['cpus']} CPUs "
            f"({facts['cpu']}), {facts['memory_gib']} GiB, Linux {facts['kernel']}, {facts['foreign_cpu'] or 0:.0%} of it busy with other work before."
        )
    lines += ["", "| area | what is compared | gate | measured | |", "|---|---|---|---|---|"]
    for one in judgements:
        verdict = {gates.MET: "met", gates.MISSED: "**missed**"}.get(one.verdict, "*not yet measured*")
        lines.append(f"| {one.gate.area} | {one.gate.what} | {one.gate.limit()} | {results.number(one.value)} | {verdict} |")
    return lines


def record(file, suites, judgements):
    """Replaces what is between the markers of the file."""
    text = file.read_text()
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    file.write_text("\n".join([before + BEGIN, *section(suites, judgements), END]) + after)
