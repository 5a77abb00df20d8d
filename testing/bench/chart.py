"""A chart of a result: one panel for each metric, ratios to the base as bars with the range of the rounds. SVG."""

import statistics

import matplotlib

matplotlib.use("svg")
# Letters stay letters: small files, and text that can be searched.
matplotlib.rcParams["svg.fonttype"] = "none"
import matplotlib.pyplot as plt  # noqa: E402

import results  # noqa: E402

# Groundplane's own paths stand out; what they are compared with does not.
OWN, OTHER, BASE = "#d9480f", "#8da2b5", "#495057"
LINUX = ("raw", "redirect", "bridge", "nft", "nft-10k", "masquerade", "vxlan")


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
    ratios = {subject: results.paired(result, (subject, metric), (base, metric)) for subject in reversed(subjects)}
    ratios = {subject: values for subject, values in ratios.items() if values}
    longest = max(max(values) for values in ratios.values())
    for row, (subject, values) in enumerate(ratios.items()):
        middle = statistics.median(values)
        axis.barh(row, middle, color=colour(subject, base), height=0.7)
        axis.plot([min(values), max(values)], [row, row], color="black", linewidth=0.8)
        label = f"{middle:.2f}  ({results.number(result['table'][subject][metric]['median'])})"
        # Inside the bar where it has room.
        fits = middle > 0.4 * longest
        at, shade = (0.01 * longest, "white") if fits else (max(values) + 0.02 * longest, "black")
        axis.text(at, row, label, va="center", fontsize=7, color=shade)
    axis.axvline(1, color="black", linewidth=0.6, linestyle=":")
    axis.set_yticks(range(len(ratios)), list(ratios), fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_title(f"{facts['title']}, {facts['unit']} ({facts['better']} is better)", fontsize=9)


def colour(subject, base):
    return BASE if subject == base else OTHER if subject in LINUX else OWN
