"""Draw the losses on standard input into a file. It runs in the benchmarks' environment."""

import json
import sys

import matplotlib
from matplotlib import pyplot

matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fairlead", "font.size": 9})
losses = json.load(sys.stdin)
figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
for name, label, style in (
    ("whole", "uninterrupted", {"color": "0.75", "linewidth": 4}),
    ("before", "suspended", {"color": "tab:blue", "linewidth": 1}),
    ("after", "resumed from its checkpoint", {"color": "tab:red", "linewidth": 1}),
):
    steps, values = zip(*losses[name], strict=True)
    axes.plot(steps, values, label=label, **style)
suspended, resumed = losses["before"][-1][0], losses["after"][0][0] - 1
for step, color in ((suspended, "tab:blue"), (resumed, "tab:red")):
    axes.axvline(step, color=color, linewidth=0.8, linestyle=":")
axes.set(xlabel="step", ylabel="loss", yscale="log", xlim=(0, losses["whole"][-1][0]))
axes.set_title(f"suspended after step {suspended}, resumed from step {resumed}", fontsize=9)
axes.legend(frameon=False)
for side in ("top", "right"):
    axes.spines[side].set_visible(False)
figure.savefig(sys.argv[1], metadata={"Date": None} if sys.argv[1].endswith(".svg") else None, dpi=120)
