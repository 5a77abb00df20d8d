"""A chart of a result: one panel for each metric, ratios to the base as bars with the range of the rounds. SVG."""

import statistics

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

import results  # noqa: E402

# Groundplane's own paths stand out; what they are compared with does not.
OWN, OTHER, BASE = "#d9480f", "#8da2b5", "#495057"


def draw(result, base, metrics, file):
    """Writes `file`. Panels only for metrics that were measured for the base."""
    shown = [name for name in metrics if name in result["table"].get(base, {})]
    subjects = [name for name in result["subjects"] if any(metric in result["table"].get(name, {}) for metric in shown)]
    columns = 3
    lines = max(1, -(-len(shown) // columns))
    figure, axes = plt.subplots(lines, columns, figsize=(13, 0.6 + lines * (0.6 + 0.26 * len(subjects))), squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, metric in zip(axes.flat, shown):
        panel(axis, result, base, metric, subjects)
    machine = result["machine"]
    figure.suptitle(f"Ratio to {base} of the same round · {machine['cpus']} CPUs {machine['cpu']} · Linux {machine['kernel']}", fontsize=11)
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)


def panel(axis, result, base, metric, subjects):
    axis.set_visible(True)
    facts = result["metrics"][metric]
    for row, subject in enumerate(reversed(subjects)):
        ratios = results.paired(result, (subject, metric), (base, metric))
        if not ratios:
            continue
        middle = statistics.median(ratios)
        colour = BASE if subject == base else OWN if subject.startswith("groundplane") else OTHER
        axis.barh(row, middle, color=colour, height=0.7)
        axis.plot([min(ratios), max(ratios)], [row, row], color="black", linewidth=0.8)
        absolute = results.number(result["table"][subject][metric]["median"])
        axis.text(0.01, row, f" {middle:.2f}  ({absolute})", va="center", fontsize=7, color="white")
    axis.axvline(1, color="black", linewidth=0.6, linestyle=":")
    axis.set_yticks(range(len(subjects)), list(reversed(subjects)), fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_title(f"{facts['title']}, {facts['unit']} ({facts['better']} is better)", fontsize=9)
