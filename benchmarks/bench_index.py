"""
The scans of a file index beside their peers, in one process, interleaved round by round.

    python benchmarks/bench_index.py [--files 100000] [--rounds 5] [--paths LIST.txt.gz ...]
                                     [--tree FOLDER] [--only NAME] [--save]

The tree is made in a temporary folder, unless one is given. Every figure is the median of the
rounds, as CPU time (of programs that are started, too) and as wall time, with its ratio to the
first line of its table, the median of the ratios within a round. Peers that are not installed are
left out. Losses are shown as they are.
"""

import argparse
import asyncio
import gc
import gzip
import importlib
import importlib.metadata
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench_search import snapshot_of
from report import PYTHON, environment, print_table, save

from boundedcollections.files import folders
from boundedcollections.files.index import ReplaceOnIndex

PEERS = ("scandir-rs", "pathspec")
PROGRAMS = ("find", "fd", "fdfind", "rg", "git")
SETTLING_SECONDS = 2.5  # until no time of a folder is racy any more
PRUNED = {".git", "node_modules", "dist"}
RULES = (
    "node_modules/\ndist/\n*.log\n*.py[co]\n__pycache__/\n/build\n.env\n.env.*\n*.sw?\n.DS_Store\n"
    "coverage/\n*.egg-info/\n/out/**/cache\n!/out/keep\n.idea\nThumbs.db\n*~\n"
)
STEMS = ("index", "utils", "config", "main", "parse", "create", "types", "server", "client")
ENDINGS = (".py", ".js", ".ts", ".md", ".json", ".map", ".d.ts")
FOLDERS = ("lib", "esm", "cjs", "src", "internal", "helpers", "test")
WIDE: dict[str, Any] = {"max_files": 10**7, "max_directories": 10**7, "max_bytes": 1 << 32}

Table = dict[str, dict[str, Any]]


def peer(name: str) -> Any:
    """Import a peer; None where it is not installed."""
    try:
        return importlib.import_module(name.replace("-", "_"))
    except ImportError:
        return None


# ── trees ───────────────────────────────────────────────────────────────────────────────────


def made_paths(files: int) -> Iterator[str]:
    """Yield paths: a fifth of sources, and four fifths of what a package manager puts there."""
    maker = random.Random(files)
    made = package = 0
    while made < files:
        top = maker.choices(("src", "node_modules", "dist"), (20, 65, 15))[0]
        package += 1
        base = f"{top}/{maker.choice(STEMS)}-{package}"
        for _ in range(maker.randrange(1, 6)):
            folder = "/".join([base, *maker.sample(FOLDERS, maker.randrange(3))])
            for number in range(maker.randrange(1, 20)):
                made += 1
                ending = maker.choice(ENDINGS)
                yield f"{folder}/{maker.choice(STEMS)}{maker.choice(STEMS).title()}{number}{ending}"


def plant(root: Path, files: int) -> None:
    for path in sorted(set(made_paths(files))):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (root / ".gitignore").write_text(RULES)
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    time.sleep(SETTLING_SECONDS)


# ── walkers ─────────────────────────────────────────────────────────────────────────────────
# The first two are alike on purpose: were they one, the bare loop would look at names as well, and
# what is compared with it would look the better.


def bare_loop(root: str) -> list[str]:
    found = []
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    found.append(prefix + entry.name)
    return found


def pruned_loop(root: str) -> list[str]:
    found = []
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in PRUNED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    found.append(prefix + entry.name)
    return found


def by_os_walk(root: str) -> list[str]:
    skipped = len(root) + 1
    return [
        f"{folder[skipped:]}/{name}" if len(folder) > skipped else name
        for folder, _, names in os.walk(root)
        for name in names
    ]


def by_rglob(root: str) -> list[str]:
    top = Path(root)
    return [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]


def by_scandir_rs(root: str) -> list[str]:
    found = peer("scandir-rs").Walk(root, return_type=None).collect()
    return list(found.files)


def by_pathspec(root: str) -> list[str]:
    lines = Path(root, ".gitignore").read_text().splitlines()
    spec = peer("pathspec").GitIgnoreSpec.from_lines(lines)
    return [path for path in by_os_walk(root) if not spec.match_file(path)]


def by_program(*command: str, root: str, separator: bytes = b"\0") -> list[str]:
    output = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout
    return os.fsdecode(output).split(os.fsdecode(separator))[:-1]


def programs(root: str, *, with_rules: bool) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    fd = "fd" if shutil.which("fd") else "fdfind"
    commands = {
        "find": ["find", ".", "-type", "f", "-print0"],
        fd: [fd, "-0", "-t", "f", "-H", "-E", ".git", "."],
        "rg": ["rg", "--files", "-0", "--hidden", "-g", "!.git"],
        "git": ["git", "ls-files", "-z", "-co", "--exclude-standard"],
    }
    without = {fd: ["-I"], "rg": ["--no-ignore"]}
    for name, command in commands.items():
        has_rules = name != "find"
        if shutil.which(name) and (has_rules if with_rules else name != "git"):
            more = [] if with_rules else without.get(name, [])
            yield " ".join(command[:2]), partial(by_program, *command, *more, root=root)


# ── measuring ───────────────────────────────────────────────────────────────────────────────


def cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measured(work: Callable[[], object]) -> tuple[float, float, int | None]:
    gc.collect()
    cpu, wall = -cpu_seconds(), -time.perf_counter()
    result = work()
    cpu += cpu_seconds()
    wall += time.perf_counter()
    files = len(result) if isinstance(result, list) else getattr(result, "files", None)
    return cpu, wall, files


def compete(contenders: dict[str, Callable[[], object]], rounds: int) -> Table:
    for contender in contenders.values():  # caches are warm for all
        contender()
    costs: dict[str, list[tuple[float, float, int | None]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            costs[name].append(measured(contender))
    base = next(iter(costs.values()))
    return {
        name: {
            "cpu_ms": round(1e3 * statistics.median(cost[0] for cost in found), 1),
            "cpu_ratio": ratio(found, base, 0),
            "wall_ms": round(1e3 * statistics.median(cost[1] for cost in found), 1),
            "wall_ratio": ratio(found, base, 1),
            "files": found[-1][2],
        }
        for name, found in costs.items()
    }


def ratio(found: list[Any], base: list[Any], which: int) -> float:
    ratios = [cost[which] / first[which] for cost, first in zip(found, base, strict=True)]
    return round(statistics.median(ratios), 3)


def in_python(work: Callable[[], object]) -> object:
    """Do it as where no compiler was at hand."""
    compiled = folders.list_folder, folders.stamp_of
    folders.list_folder, folders.stamp_of = (
        folders.list_folder_in_python,
        folders.stamp_of_in_python,
    )
    try:
        return work()
    finally:
        folders.list_folder, folders.stamp_of = compiled


def without_rules(root: str, rounds: int) -> Table:
    index = ReplaceOnIndex(root, use_gitignore=False, **WIDE)
    stamped = ReplaceOnIndex(root, use_gitignore=False, full_every=1, **WIDE)
    contenders: dict[str, Callable[[], object]] = {
        "os.scandir, a bare loop": partial(bare_loop, root),
        "ReplaceOnIndex.index": index.index,
        "the same, for refreshes": stamped.refresh,
        "the same, nothing compiled": partial(in_python, index.index),
        "os.walk": partial(by_os_walk, root),
        "Path.rglob": partial(by_rglob, root),
    }
    if peer("scandir-rs"):
        contenders["scandir-rs"] = partial(by_scandir_rs, root)
    return compete(contenders | dict(programs(root, with_rules=False)), rounds)


def with_rules(root: str, rounds: int) -> Table:
    options: dict[str, Any] = {"use_global_gitignore": False, **WIDE}
    index = ReplaceOnIndex(root, **options)
    contenders: dict[str, Callable[[], object]] = {
        "a loop with a fixed set of names": partial(pruned_loop, root),
        "ReplaceOnIndex.index": index.index,
        "the same, nothing compiled": partial(in_python, index.index),
        "without the ignored files": ReplaceOnIndex(root, max_ignored_files=0, **options).index,
    }
    if peer("pathspec"):
        contenders["os.walk, then pathspec"] = partial(by_pathspec, root)
    return compete(contenders | dict(programs(root, with_rules=True)), rounds)


def refreshes(root: str, rounds: int, *, use_gitignore: bool) -> Table:
    time.sleep(SETTLING_SECONDS)
    scanned = ReplaceOnIndex(root, use_gitignore=use_gitignore, **WIDE)
    refreshed = ReplaceOnIndex(root, use_gitignore=use_gitignore, full_every=10**9, **WIDE)
    refreshed.refresh()
    changed = ReplaceOnIndex(root, use_gitignore=use_gitignore, full_every=10**9, **WIDE)
    changed.refresh()
    numbers = iter(range(10**9))

    def change() -> object:
        Path(root, "src", f"new-{next(numbers)}").touch()
        return changed.refresh()

    table = compete({"refresh, nothing changed": refreshed.refresh, "index": scanned.index}, rounds)
    # Apart from the others, which are not to see its changes.
    table |= compete({"refresh, one new file beside many folders": change}, rounds)
    for file in Path(root, "src").glob("new-*"):
        file.unlink()
    return table


async def lateness(work: Callable[[], object]) -> list[float]:
    """Return how late each tick of a millisecond was while `work` ran in a thread, in ms."""
    late = []
    task = asyncio.create_task(asyncio.to_thread(work))
    while not task.done():
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        late.append(1e3 * (time.perf_counter() - due))
    await task
    return late


def ticks(root: str, rounds: int) -> Table:
    index = ReplaceOnIndex(root, use_gitignore=False, **WIDE)
    refreshed = ReplaceOnIndex(root, use_gitignore=False, full_every=10**9, **WIDE)
    refreshed.refresh()
    paths = bare_loop(root)

    def sort_shuffled() -> None:
        sorted(random.sample(paths, len(paths)))

    jobs: dict[str, Callable[[], object]] = {
        "sleep": partial(time.sleep, 0.3),
        "os.scandir, a bare loop": partial(bare_loop, root),
        "ReplaceOnIndex.index": index.index,
        "ReplaceOnIndex.refresh": refreshed.refresh,
        "sorted(shuffled paths)": sort_shuffled,
    }
    table: Table = {}
    for name, job in jobs.items():
        runs = [sorted(asyncio.run(lateness(job))) for _ in range(rounds)]
        table[name] = {
            "median_ms": round(statistics.median(run[len(run) // 2] for run in runs), 2),
            "p99_ms": round(statistics.median(run[int(len(run) * 0.99)] for run in runs), 2),
            "worst_ms": round(max(run[-1] for run in runs), 2),
        }
    return table


def memory(lists: list[str], files: int) -> Table:
    table: Table = {}
    sources = {f"made, {files:,}": list(made_paths(files)), "made, 1,000,000": None}
    for name in lists:
        opened = gzip.open(name, "rt") if name.endswith(".gz") else open(name)  # noqa: PTH123, SIM115
        with opened as file:
            sources[Path(name).name] = [line.rstrip("\n") for line in file]
    for name, paths in sources.items():
        snapshot = snapshot_of(sorted(set(made_paths(1_000_000) if paths is None else paths)))
        columns = snapshot.columns
        began = time.perf_counter()
        strings = sum(sys.getsizeof(path) + 8 for path in snapshot)
        read = time.perf_counter() - began
        table[name] = {
            "files": len(snapshot),
            "folders": len(columns.folder_offsets) - 1,
            "bytes_per_file": round(snapshot.bytes / len(snapshot), 1),
            "list_of_str_per_file": round(strings / len(snapshot), 1),
            "read_all_us_per_file": round(1e6 * read / len(snapshot), 2),
        }
        began = time.perf_counter()
        del snapshot, columns
        table[name]["free_ms"] = round(1e3 * (time.perf_counter() - began), 2)
    return table


def run(options: argparse.Namespace, root: str) -> None:
    tables: dict[str, Callable[[], Table]] = {
        "scan without rules": partial(without_rules, root, options.rounds),
        "scan with ignore files": partial(with_rules, root, options.rounds),
        "refresh without rules": partial(refreshes, root, options.rounds, use_gitignore=False),
        "refresh with ignore files": partial(refreshes, root, options.rounds, use_gitignore=True),
        "lateness of a tick of 1 ms": partial(ticks, root, options.rounds),
        "memory": partial(memory, options.paths, options.files),
    }
    found: dict[str, Table] = {}
    for title, table in tables.items():
        if options.only in title:
            found[title] = table()
            print_table(title, found[title])
    if options.save:
        here = environment(
            PEERS,
            kernel=platform.release(),
            folders=sum(1 for _ in os.walk(root)),
            programs=[name for name in PROGRAMS if shutil.which(name)],
        )
        save(f"index-{PYTHON}", {"environment": here, "tables": found})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="how many files to make")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    parser.add_argument("--tree", help="a folder to scan, instead of making one")
    parser.add_argument("--paths", nargs="*", default=[], help="lists of paths, for memory")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    parser.add_argument("--save", action="store_true", help="write results/index-<python>.json")
    options = parser.parse_args()
    if options.tree:
        run(options, str(Path(options.tree).resolve()))
        return
    with tempfile.TemporaryDirectory() as place:
        plant(Path(place), options.files)
        run(options, place)


if __name__ == "__main__":
    main()
