import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundedcollections.memory import cgroups, probe
from boundedcollections.memory.probe import (
    LinuxProbe,
    PsutilProbe,
    Reading,
    best_probe,
    memory_limit,
)

MIB = 1 << 20
ODD = [
    "", "\n", "max", "-1", "1 2", "1_000", "0x10", "٣", "9" * 5_000, "NaN", "1e3", "\0", ":::", " - ",
    "a - cgroup2", "0::", "0::relative", "some avg10=", "some avg10=1.2.3", "some avg10=-1",
    "MemTotal:", "MemTotal: many kB",
]  # fmt: skip

V2_MOUNT = "29 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
)
STAT_V2 = "anon 900\nfile 500\ninactive_anon 1\nactive_file 1\ninactive_file {cache}\n"
STAT_V1 = "cache 1\ninactive_file 1\ntotal_inactive_file {cache}\n"


class System:
    """A tree that looks like ``/proc`` and ``/sys``, as far as a probe looks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/statm", "800 445 17 5 0 123 0\n")

    def write(self, path: str, text: str) -> None:
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    def version_2(self, *, path: str = "/app", root: str = "/", **files: str) -> None:
        self.write("proc/self/cgroup", f"0::{path}\n")
        self.write("proc/self/mountinfo", V2_MOUNT.format(root=root))
        for name, text in files.items():
            folder, _, file = name.rpartition("__")
            self.write(f"sys/fs/cgroup/{folder.replace('__', '/')}/memory.{file}", text)

    def version_1(self, *, path: str = "/docker/abc", root: str = "/", **files: str) -> None:
        self.write(
            "proc/self/cgroup", f"5:cpu,cpuacct:/x\n4:memory:{path}\n1:name=systemd:/y\n0::/\n"
        )
        self.write("proc/self/mountinfo", V1_MOUNTS.format(root=root))
        for name, text in files.items():
            folder, _, file = name.rpartition("__")
            self.write(f"sys/fs/cgroup/memory/{folder.replace('__', '/')}/memory.{file}", text)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def reading(system: System) -> Reading:
    made = LinuxProbe(system.root)
    try:
        return made.read()
    finally:
        made.close()


class TestGroups:
    def test_the_second_version_is_found_and_its_page_cache_taken_off(self, system: System) -> None:
        system.version_2(
            app__current=f"{100 * MIB}\n", app__max=f"{200 * MIB}\n", app__high="max\n",
            app__stat=STAT_V2.format(cache=30 * MIB),
        )  # fmt: skip
        found = reading(system)
        assert (found.group_bytes, found.group_limit_bytes) == (70 * MIB, 200 * MIB)

    def test_the_first_version_is_found_and_its_page_cache_taken_off(self, system: System) -> None:
        system.version_1(
            docker__abc__usage_in_bytes=f"{100 * MIB}\n",
            docker__abc__limit_in_bytes=f"{200 * MIB}\n",
            docker__abc__stat=STAT_V1.format(cache=40 * MIB),
        )
        found = reading(system)
        assert (found.group_bytes, found.group_limit_bytes) == (60 * MIB, 200 * MIB)

    def test_a_limit_that_slows_down_counts_as_well(self, system: System) -> None:
        system.version_2(app__current="5\n", app__max="900\n", app__high="700\n")
        assert reading(system).group_limit_bytes == 700

    def test_the_least_limit_on_the_way_counts(self, system: System) -> None:
        system.version_2(
            path="/slice/app", slice__max="500\n", slice__app__max="900\n",
            slice__app__current="5\n", __max="100\n",
        )  # fmt: skip
        assert reading(system).group_limit_bytes == 100

    def test_what_lies_beside_the_way_does_not_count(self, system: System) -> None:
        system.version_2(app__current="5\n", app__max="900\n", other__max="7\n")
        system.write("sys/fs/memory.max", "3\n")
        assert reading(system).group_limit_bytes == 900

    def test_a_container_that_sees_its_own_group_as_the_top_is_found(self, system: System) -> None:
        system.version_2(path="/", root="/docker/abc", __current="50\n", __max="60\n")
        assert (reading(system).group_bytes, reading(system).group_limit_bytes) == (50, 60)

    def test_a_part_of_the_hierarchy_that_is_mounted_alone_is_found(self, system: System) -> None:
        system.version_1(
            path="/docker/abc/app", root="/docker/abc",
            app__usage_in_bytes="50\n", app__limit_in_bytes="60\n",
        )  # fmt: skip
        assert reading(system).group_limit_bytes == 60

    @pytest.mark.parametrize("path", ["/../outside", "/gone"])
    def test_a_path_of_another_namespace_leads_to_what_is_seen(
        self, system: System, path: str
    ) -> None:
        system.version_2(path=path, __current="50\n", __max="60\n")
        system.write("sys/fs/outside/memory.current", "1\n")
        assert reading(system).group_bytes == 50

    @pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n", "0\n", "", "much\n"])
    def test_a_group_without_a_limit_is_as_none(self, system: System, limit: str) -> None:
        system.version_1(docker__abc__usage_in_bytes="50\n", docker__abc__limit_in_bytes=limit)
        system.version_2(app__current="50\n", app__max=limit)
        assert reading(system) == Reading(rss_bytes=445 * os.sysconf("SC_PAGE_SIZE"))

    def test_a_group_that_does_not_account_for_memory_is_as_none(self, system: System) -> None:
        system.version_2(app__max="50\n")
        assert reading(system).group_limit_bytes is None

    def test_a_hierarchy_that_the_process_is_not_in_is_passed_over(self, system: System) -> None:
        system.version_1(docker__abc__usage_in_bytes="5\n", docker__abc__limit_in_bytes="9\n")
        system.write("proc/self/cgroup", "4:memory:/docker/abc\n")
        system.write("proc/self/mountinfo", V2_MOUNT.format(root="/") + V1_MOUNTS.format(root="/"))
        assert reading(system).group_limit_bytes == 9

    def test_a_mount_with_a_space_in_its_name_is_found(self, system: System) -> None:
        system.write("proc/self/cgroup", "0::/\n")
        mount = V2_MOUNT.format(root="/").replace("/sys/fs/cgroup", r"/my\040groups")
        system.write("proc/self/mountinfo", mount)
        system.write("my groups/memory.current", "5\n")
        system.write("my groups/memory.max", "9\n")
        assert reading(system).group_limit_bytes == 9

    def test_a_use_that_makes_no_sense_counts_as_nothing(self, system: System) -> None:
        system.version_2(app__current="lots\n", app__max="900\n")
        assert reading(system).group_bytes == 0

    def test_a_cache_larger_than_the_use_counts_as_all_of_it(self, system: System) -> None:
        system.version_2(app__current="5\n", app__max="900\n", app__stat=STAT_V2.format(cache=7))
        assert reading(system).group_bytes == 0

    def test_four_processes_in_one_group_see_it_fill_alike(self) -> None:
        found = Reading(rss_bytes=50, group_bytes=300, group_limit_bytes=400)
        assert found.used_of(100) == 75
        assert found.used_of(400) == 300
        assert Reading(rss_bytes=90, group_bytes=300, group_limit_bytes=400).used_of(100) == 90
        assert Reading(rss_bytes=90).used_of(100) == 90


class TestLinux:
    def test_this_process_is_measured(self) -> None:
        if not Path("/proc/self/statm").exists():
            pytest.skip("needs /proc")
        made = LinuxProbe()
        block = bytearray(50 * MIB)
        block[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(block[:: os.sysconf("SC_PAGE_SIZE")])
        with_block = made.read().rss_bytes
        del block
        without = made.read().rss_bytes
        assert 45 * MIB < with_block - without < 55 * MIB
        made.close()

    def test_waiting_for_memory_is_told_of_the_host_or_of_the_group(self, system: System) -> None:
        pressure = (
            "some avg10={} avg60=1.00 avg300=0.00 total=1\nfull avg10=90.00 avg60=0 total=1\n"
        )
        system.write("proc/pressure/memory", pressure.format("12.50"))
        assert reading(system).stalled_percent == 12.5
        system.version_2(
            app__current="5\n", app__max="900\n", app__pressure=pressure.format("3.25")
        )
        assert reading(system).stalled_percent == 3.25

    def test_a_file_that_cannot_be_read_any_more_counts_as_not_there(self, system: System) -> None:
        system.version_2(app__current="5\n", app__max="900\n")
        made = LinuxProbe(system.root)
        os.close(made._files["use"])
        assert made.read().group_bytes == 0
        del made._files["use"]
        made.close()

    def test_without_statm_there_is_nothing_to_measure(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="statm"):
            LinuxProbe(tmp_path)

    def test_a_statm_that_cannot_be_read_any_more_is_an_error(self, system: System) -> None:
        made = LinuxProbe(system.root)
        os.close(made._files["statm"])
        with pytest.raises(OSError, match="Bad file descriptor"):
            made.read()
        made.close()

    @pytest.mark.parametrize("text", ["", "1", "1 many", "1 -5"])
    def test_a_statm_that_makes_no_sense_is_an_error(self, system: System, text: str) -> None:
        system.write("proc/self/statm", text)
        with pytest.raises(ValueError, match="statm must have a number of resident pages"):
            reading(system)

    def test_after_closing_nothing_is_measured(self, system: System) -> None:
        made = LinuxProbe(system.root)
        made.close()
        made.close()
        with pytest.raises(ValueError, match="closed"):
            made.read()

    def test_no_file_stays_open(self, system: System) -> None:
        system.version_2(app__current="5\n", app__max="9\n", app__stat="x 1\n")
        first = os.dup(0)  # the lowest descriptor that is free
        os.close(first)
        for _ in range(3):
            reading(system)
        last = os.dup(0)
        os.close(last)
        assert first == last

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_forked_child_opens_files_of_its_own(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = LinuxProbe(system.root)
        (system.root / "proc/self/statm").unlink()
        system.write("proc/self/statm", "9 7 1\n")  # another file under the same name
        assert made.read().rss_bytes == 445 * os.sysconf("SC_PAGE_SIZE")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert made.read().rss_bytes == 7 * os.sysconf("SC_PAGE_SIZE")
        made.close()


class TestElsewhere:
    def fake_psutil(self, monkeypatch: pytest.MonkeyPatch, rss: int = 7 * MIB) -> None:
        fake = types.ModuleType("psutil")

        class Process:
            def memory_info(self) -> types.SimpleNamespace:
                return types.SimpleNamespace(rss=rss)

        fake.Process = Process  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "psutil", fake)

    def test_psutil_measures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake_psutil(monkeypatch)
        made = PsutilProbe()
        assert made.read() == Reading(rss_bytes=7 * MIB)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert made.read() == Reading(rss_bytes=7 * MIB)
        assert made._pid == -1
        made.close()

    def test_the_best_probe_is_that_of_linux_where_there_is_proc(
        self, monkeypatch: pytest.MonkeyPatch, system: System
    ) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(probe, "LinuxProbe", lambda: LinuxProbe(system.root))
        made = best_probe()
        assert isinstance(made, LinuxProbe)
        made.close()

    def test_elsewhere_it_is_that_of_psutil(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake_psutil(monkeypatch)
        monkeypatch.setattr(sys, "platform", "darwin")
        assert isinstance(best_probe(), PsutilProbe)

    def test_linux_without_proc_asks_psutil(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.fake_psutil(monkeypatch)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(probe, "LinuxProbe", lambda: LinuxProbe(tmp_path))
        assert isinstance(best_probe(), PsutilProbe)

    def test_without_both_the_error_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "psutil", None)
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(RuntimeError, match=r"pip install boundedcollections\[psutil\]"):
            best_probe()


class TestLimits:
    def test_the_limit_is_that_of_the_group_or_of_the_host(self, system: System) -> None:
        assert memory_limit(system.root) is None
        system.write("proc/meminfo", "MemFree: 1 kB\nMemTotal:    1024 kB\n")
        assert memory_limit(system.root) == MIB
        system.version_2(app__current="5\n", app__max="900\n")
        assert memory_limit(system.root) == 900
        system.version_2(app__current="5\n", app__max=f"{9 * MIB}\n")
        assert memory_limit(system.root) == MIB
        system.write("proc/meminfo", "MemFree: 1 kB\n")
        assert memory_limit(system.root) == 9 * MIB


PARSERS: list[Callable[[str], object]] = [
    cgroups.parse_membership,
    lambda text: list(cgroups.parse_mounts(text)),
    cgroups.parse_limit,
    cgroups.parse_bytes,
    lambda text: cgroups.parse_field(text, "inactive_file"),
    cgroups.parse_stalled,
    cgroups.unescape,
    probe.parse_meminfo,
]


class TestParsers:
    def test_odd_text_is_as_nothing(self) -> None:
        for parse in PARSERS:
            for text in ODD:
                assert parse(text) in ({}, [], None, 0, 0.0, text, 1.2), text

    @given(
        text=st.text(st.sampled_from("0123456789: -/\n=.max cgroup2some avg10kB\\"), max_size=80)
    )
    def test_no_text_makes_a_parser_raise(self, text: str) -> None:
        for parse in PARSERS:
            parse(text)

    @given(size=st.integers(0, (1 << 60) - 1))
    def test_a_figure_is_read_as_it_was_written(self, size: int) -> None:
        assert cgroups.parse_bytes(f"{size}\n") == size
        assert cgroups.parse_field(f"anon 3\ninactive_file {size}\n", "inactive_file") == size
        assert cgroups.parse_limit(f"{size}\n") == (size or None)

    @pytest.mark.parametrize(
        ("text", "share"),
        [("some avg10=0.00 avg60=9", 0.0), ("full avg10=5\nsome avg10=7 avg60=1", 7.0),
         ("some avg10=999.00", 100.0), ("full avg10=5.00", 0.0)],
    )  # fmt: skip
    def test_the_share_of_waiting_is_that_of_some(self, text: str, share: float) -> None:
        assert cgroups.parse_stalled(text) == share
