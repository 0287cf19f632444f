"""What the Pi log tells of a running job: what its host lacks, and how near it came to its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud.sandbox.base import PROCESSES
from picloud.wire.message import Sample
from picloud.worker.death import bigger, size
from picloud.worker.order import Order
from picloud.worker.running import Running

if TYPE_CHECKING:
    from picloud.worker.slot import Slot

NEARLY = 0.9  # share of the memory limit


def first(slot: Slot, job: Running, order: Order) -> None:
    """At a job's first sample: where it gets less than others elsewhere, or than its core type says."""
    for text in slot.owner.maker.lacks:
        slot.tell(job, text)
    kind = order.core_types.get(order.core_type)
    if kind is None:
        return
    asked = f"{order.core_type} with {order.cores} core{'s' if order.cores > 1 else ''}"
    if order.memory_limit and order.memory_limit < kind.memory * order.cores:
        slot.tell(job, f"this host has less RAM than {asked} stands for: {size(order.memory_limit)} instead of "
                       f"{size(kind.memory * order.cores)}")  # fmt: skip
    if order.host_units and kind.units * order.cores > order.host_units:
        slot.tell(job, f"{asked} is larger than this host ({kind.units * order.cores / 1000:g} of {order.host_units / 1000:g} "
                       "compute units): the job runs alone")  # fmt: skip


def of(slot: Slot, job: Running, sample: Sample, limit: int) -> None:
    """At each sample: what is new since the one before."""
    meter = job.meter
    if meter is None:
        return
    said = meter.said
    if limit and meter.peak > NEARLY * limit and "nearly" not in said:
        said["nearly"] = 1
        slot.tell(job, f"the memory limit is nearly hit: {size(meter.peak)} of {size(limit)}; {bigger(limit, slot.owner.order)}")
    counts = {name: getattr(sample, name) or 0 for name in _MEMORY} | {"forks_refused": meter.forks_refused}
    for name, count in counts.items():
        if count and count >= 2 * said.get(name, 0):  # the first, and each doubling: not a line each two seconds
            said[name] = count
            slot.tell(job, _TEXTS[name].format(count))


_MEMORY = ("limit_hits", "refused", "kernel_kills")
_TEXTS = {
    "limit_hits": "the memory limit was hit ({} times so far): the kernel took back page cache, which slows the job down",
    "refused": "requests for memory were refused ({} so far): MemAlloc Fails",
    "kernel_kills": "the kernel killed processes of the job for lack of memory ({} so far)",
    "forks_refused": f"processes or threads were refused ({{}} so far): a job may have {PROCESSES} at a time for each core",
}
