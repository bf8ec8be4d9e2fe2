import re

import pytest

from boundedcollections.files.wildmatch import lower, translate, translate_parted

CASES = [
    # pattern, what it matches, what it does not
    ("foo", ["foo"], ["fo", "fooo", "Foo", "a/foo"]),
    ("*", ["", "foo", ".hidden", "new\nline"], ["a/b"]),
    ("a*", ["a", "abc"], ["ba", "a/b"]),
    ("*a", ["a", "bca", "aa"], ["ab", "b/a"]),
    ("a*b*c", ["abc", "aXbXc", "abcbc"], ["ab", "ac", "a/bc"]),
    ("*ab", ["ab", "aab", "abab"], ["aba"]),
    ("*ab*ab", ["abab", "ab-ab", "aababab"], ["ab", "aab"]),
    ("?", ["a", "\n"], ["", "ab", "/"]),
    ("a?c", ["abc"], ["ac", "a/c"]),
    ("a/*/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c"]),
    ("**/foo", ["foo", "a/foo", "a/b/foo"], ["afoo", "a/foo/b"]),
    ("a/**", ["a/b", "a/b/c"], ["a", "b/a/b"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]),
    ("a/**/b/**/c", ["a/b/c", "a/x/b/y/c", "a/b/b/c"], ["a/c", "a/b/x"]),
    ("a/**/b*c/**/d", ["a/bc/d", "a/x/bxc/y/d", "a/b/bc/d"], ["a/b/c/d"]),
    ("**/a/**/a", ["a/a", "x/a/y/a"], ["a"]),
    ("**", ["", "a", "a/b"], []),
    ("a/**b", ["a/b", "a/xb"], ["a/x/b"]),
    ("x[a]**/b", ["xa/b", "xaz/b"], ["xa/z/b"]),  # not a whole segment, so it is a plain star
    ("foo**/bar", ["foo/bar", "foobar", "foox/y/bar"], ["fo/bar"]),  # git's own oddity
    (r"**\/foo", ["a/foo", "a/b/foo"], ["foo"]),
    (r"\*", ["*"], ["a", r"\*"]),
    (r"\a", ["a"], [r"\a"]),
    ("a\\", [], ["a", "a\\"]),
    ("[ab]", ["a", "b"], ["c", "ab", ""]),
    ("[a-c]x", ["ax", "bx", "cx"], ["dx", "-x"]),
    ("[!a-c]", ["d", "-", "\n"], ["a", "b", "/"]),
    ("[^a]", ["b", "^"], ["a"]),
    ("[]]", ["]"], ["a"]),
    ("[]-a]", ["]", "^", "_", "`", "a"], ["b", "-"]),
    ("[!]a]", ["b"], ["]", "a"]),
    ("[a-]", ["a", "-"], ["b"]),
    ("[-a]", ["-", "a"], ["b"]),
    ("[z-a]", ["z"], ["a", "m", "-"]),
    ("[!z-a]", ["a", "m", "-"], ["z", "/", ""]),
    (r"[\]]", ["]"], ["\\"]),
    (r"[a-\c]", ["a", "b", "c"], ["\\", "d"]),
    ("[a-c-e]", ["a", "b", "c", "-", "e"], ["d"]),
    ("[[:digit:]x]", ["1", "x"], ["a", ":"]),
    ("[![:alpha:]]", ["1", "_"], ["a", "Z"]),
    ("[[:digit:]-z]", ["5", "-", "z"], ["a"]),  # a class begins no range
    ("[[:nonsense:]]", [], ["n", ":", "["]),
    ("[[:digit]", ["[", ":", "d", "t"], ["1", "]"]),
    ("[[:]", ["[", ":"], ["]"]),
    ("[[:", [], ["[", ":"]),
    ("[", [], ["["]),
    ("[!", [], ["a"]),
    ("[\\", [], ["\\"]),
    ("[a-\\", [], ["a"]),
    ("[/]", [], ["/"]),
    ("a[/]b", [], ["a/b"]),
    ("[a&&b~~c||d--e]", ["a", "&", "~", "|"], ["f"]),
    ("$^.+()|{}", ["$^.+()|{}"], ["x"]),
]


@pytest.mark.parametrize(("pattern", "matches", "others"), CASES)
def test_a_pattern_matches_what_git_matches(
    pattern: str, matches: list[str], others: list[str]
) -> None:
    fullmatch = re.compile(translate(pattern)).fullmatch
    assert [text for text in matches if not fullmatch(text)] == []
    assert [text for text in others if fullmatch(text)] == []


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("FoO", ["foo"], []),
        ("[A-C]x", ["ax", "cx"], ["dx"]),
        ("[[:upper:]]", ["a"], ["1"]),
        ("[A]", [], ["a"]),  # git folds the subject and the letters outside of classes only
        (r"\A", [], ["a"]),
        (r"\a", ["a"], []),
    ],
)
def test_without_case_a_pattern_is_as_odd_as_gits(
    pattern: str, matches: list[str], others: list[str]
) -> None:
    fullmatch = re.compile(translate(pattern, ignore_case=True)).fullmatch
    assert [text for text in matches if not fullmatch(text)] == []
    assert [text for text in others if fullmatch(text)] == []


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/a/" * 40 + "b", "*a/" * 20 + "**/b"])
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    subject = "a" * 200 + "/a" * 200
    assert re.fullmatch(translate(pattern), subject) is None  # or else the test never ends


def test_only_ascii_is_lowered() -> None:
    assert lower("AbZ") == "abz"
    assert lower("ÄB\xc9") == "Äb\xc9"


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.py", ["a.py", "src/b.py", "src/deep/c.py"]),
        ("/*.py", ["a.py"]),
        ("src/*.py", ["src/b.py"]),
        ("src/**", ["src/b.py", "src/deep/c.py", "src/deep/d.txt"]),
        ("src/**/*.py", ["src/b.py", "src/deep/c.py"]),
        ("**/deep/*", ["src/deep/c.py", "src/deep/d.txt"]),
        ("**/*.txt", ["src/deep/d.txt"]),
        ("s*c/**/d*", ["src/deep/d.txt"]),
        ("src/", []),
        ("[", []),
        ("**", ["a.py", "src/b.py", "src/deep/c.py", "src/deep/d.txt"]),
        ("/**", ["a.py", "src/b.py", "src/deep/c.py", "src/deep/d.txt"]),
        ("", []),
    ],
)
def test_a_parted_pattern_matches_folder_and_name_apart(pattern: str, paths: list[str]) -> None:
    folder, name = translate_parted(pattern)
    everything = ["a.py", "src/b.py", "src/deep/c.py", "src/deep/d.txt"]
    found = []
    for path in everything:
        end = path.rfind("/") + 1
        if re.fullmatch(folder, path[:end]) and re.fullmatch(name, path[end:]):
            found.append(path)
    assert found == paths
