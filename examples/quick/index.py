"""The files of a folder, found by a part of their path."""

from pathlib import Path

from boundedcollections import ReplaceOnIndex

here = Path(__file__).parent.parent
files = ReplaceOnIndex(here, max_files=10_000, name="examples")
print(files.index())
print("quick/history.py" in files, len(files) == len(list(files)))

for match in files.search("qubro", limit=3):
    marked = "".join(
        f"[{letter}]" if position in match.positions else letter
        for position, letter in enumerate(match.path)
    )
    print(marked)
