"""The wheel that users install, tested without the sources beside it."""

import email
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from boundedcollections import accelerated

ROOT = Path(__file__).parent.parent

USE_EVERYTHING = """
import sys, boundedcollections
from boundedcollections.lru.keeper import Keeper
assert "site-packages" in boundedcollections.__file__, boundedcollections.__file__
assert boundedcollections.__version__
for name in boundedcollections.__all__:
    getattr(boundedcollections, name)
from boundedcollections import BoundedHistory, SizeAwareLRU, accelerated
compiled = sys.argv[1] == "True"
assert accelerated is compiled, "the walks were left out of the wheel"
assert issubclass(SizeAwareLRU, Keeper) is not compiled, "the structure was left out of the wheel"
assert SizeAwareLRU({"a": [1, "b"]}, max_bytes=10_000)["a"] == [1, "b"]
assert BoundedHistory("abc", max_bytes=10_000).since(0).items == ("a", "b", "c")
for extra in ("aiohttp", "numpy", "frizbee", "watchfiles", "prometheus_client", "redis", "trio"):
    try:
        __import__(extra)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{extra} was installed without being asked for")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # By way of the source distribution, so that nothing left in the tree gets into the wheel.
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        out,
        ROOT,
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.mark.timeout(400)
def test_the_wheel_works_in_a_new_environment_without_the_sources(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(install, check=True, timeout=240)
    use: list[str | Path] = [python, "-I", "-c", USE_EVERYTHING, str(accelerated)]
    subprocess.run(use, check=True, cwd=tmp_path, timeout=60)


@pytest.mark.timeout(400)
def test_the_wheel_carries_types_licence_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(metadata_name))
    assert "boundedcollections/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"boundedcollections"}
    core = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.split(">=")[0] for line in core) == ["pympler", "sortedcontainers"]
