"""Figures of control groups as kernels write them."""

from __future__ import annotations

import os
from pathlib import Path

from picloud.sandbox.figures import CpuV1, CpuV2, Descriptors, MemoryV1, MemoryV2

STAT_V1 = """cache 700
rss 100
rss_huge 0
shmem 40
swap 7
hierarchical_memory_limit 9000
total_cache 5000
total_rss 3000
total_rss_huge 0
total_shmem 1000
total_mapped_file 4
total_swap 77
total_inactive_anon 1
"""

STAT_V2 = """anon 3000
file 5000
kernel 900
kernel_stack 100
pagetables 200
sec_pagetables 0
percpu 30
sock 4
vmalloc 0
shmem 1000
file_mapped 17
slab_reclaimable 500
slab_unreclaimable 60
slab 560
"""


def folder(path: Path, **files: str) -> Descriptors:
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return Descriptors(path)


def test_memory_of_v1(tmp_path: Path) -> None:
    files = folder(tmp_path, memory__stat=STAT_V1, memory__failcnt="12\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    memory = MemoryV1(files)
    assert memory.read() == (4000, 4000, 77, 12, 3, 3)
    files.close()


def test_memory_of_v2(tmp_path: Path) -> None:
    files = folder(tmp_path, memory__stat=STAT_V2, memory__events="low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n")
    (tmp_path / "memory.swap.current").write_text("77\n")
    assert MemoryV2(files).read() == (3000 + 1000 + 100 + 200 + 30 + 4 + 60, 5000 - 1000 + 500, 77, 12, 2, 1)
    files.close()


def test_what_a_kernel_does_not_count_is_not_told(tmp_path: Path) -> None:
    files = folder(tmp_path, memory__stat="anon 1\n", memory__events="")
    assert MemoryV2(files).read().swap is None
    files.close()


def test_cpu_time_of_v1_is_exact_in_sum_and_never_falls(tmp_path: Path) -> None:
    files = folder(tmp_path, cpuacct__usage="9000000\n", cpuacct__usage_user="0\n", cpuacct__usage_sys="0\n")
    cpu = CpuV1(files)
    assert cpu.read() == (9000, 0)
    last = (9000, 0)
    for total, user, system in ((12_000, 1, 9), (20_000, 9, 11), (20_000, 1, 1), (30_000, 40, 1), (31_500, 0, 40)):
        folder(tmp_path, cpuacct__usage=f"{total}000", cpuacct__usage_user=f"{user}", cpuacct__usage_sys=f"{system}")
        found = cpu.read()
        assert sum(found) == total
        assert found[0] >= last[0]
        assert found[1] >= last[1]
        last = found
    files.close()


def test_cpu_time_of_v2(tmp_path: Path) -> None:
    files = folder(tmp_path, cpu__stat="usage_usec 30\nuser_usec 20\nsystem_usec 10\nnice_usec 0\nnr_periods 0\n")
    assert CpuV2(files).read() == (20, 10)
    files.close()


def test_descriptors_are_let_go(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = folder(tmp_path, memory__stat=STAT_V1)
    MemoryV1(files)
    files.close()
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before
