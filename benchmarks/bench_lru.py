"""
The cache beside its peers, in one process, interleaved round by round.

    python benchmarks/bench_lru.py [--rounds 9] [--quick] [--only TABLE] [--save] [--plot FILE.png]

Times are CPU time of the thread, medians of the rounds, in nanoseconds per operation unless said
otherwise; each with its ratio to ours, the median of the ratios within a round: above 1, we are
faster. Absolute figures vary with whatever else the machine does. Peers that are not installed are
left out. ``+lock`` is a peer with the lock that its users have to add. Results with
``BOUNDEDCOLLECTIONS_PURE=1`` in the environment, where nothing is compiled, are kept apart.
"""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from lru_counted import bench_operations, bench_threads
from lru_large import bench_memory, bench_worst_write
from lru_peers import OURS, PACKAGES
from lru_ratios import Tables
from lru_weighed import bench_reader_beside_writer, bench_values
from report import BUILD, environment, save


def plot(found: Tables, path: Path) -> None:
    """Draw each table as a panel: to the right whoever is slower or larger than ours."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        -(-len(found) // 3), 3, figsize=(15, 2.1 * -(-len(found) // 3)), layout="constrained"
    )
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (title, rows) in zip(axes.flat, found.items(), strict=False):
        ordered = sorted(rows.items(), key=lambda item: -item[1]["ratio"])
        ratios = [row["ratio"] for _, row in ordered]
        colors = ["tab:orange" if name.startswith(OURS) else "tab:blue" for name, _ in ordered]
        axis.barh([name for name, _ in ordered], [r - 1 for r in ratios], left=1, color=colors)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xlim(0.2, 200)
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], [".5", 1, 2, 5, 10, 20, 50, 100])
        axis.minorticks_off()
        axis.set_title(f"{title}, ÷ ours", fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each contender runs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", default="", help="only the groups whose name contains this")
    parser.add_argument("--save", action="store_true", help="write the results directory")
    parser.add_argument("--plot", type=Path, help="draw a picture, with matplotlib")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    groups: dict[str, Callable[[], Tables]] = {
        "operations": lambda: bench_operations(options.rounds, 1_000, 20_000 // part),
        "large": lambda: bench_operations(max(options.rounds // 2, 1), 100_000, 50_000 // part),
        "threads": lambda: bench_threads(options.rounds, 100_000 // part),
        "values": lambda: bench_values(max(options.rounds // 2, 1)),
        "reader": lambda: bench_reader_beside_writer(max(options.rounds // 2, 1), 1.0 / part),
        "worst": lambda: bench_worst_write(1_000_000 // part),
        "memory": lambda: bench_memory(100_000 // part),
    }
    found: Tables = {}
    for name, run in groups.items():
        if options.only in name:
            found.update(run())
    if options.save:
        save(f"lru-{BUILD}", {"environment": environment(PACKAGES), "tables": found})
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
