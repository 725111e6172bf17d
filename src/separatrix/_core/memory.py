"""How much memory a run would take, and how much there is: asked before, as an exhausted machine answers nothing."""

import os
from typing import Any

import jax
from jaxtyping import PyTree

__all__ = ["TooLarge", "available_bytes", "check_fits", "forget_programs", "tree_bytes"]


class TooLarge(ValueError):
    """A population does not fit into memory."""


def tree_bytes(tree: PyTree) -> int:
    """Return the bytes of a tree of arrays or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype"))


def available_bytes() -> int | None:
    """Return the memory that can still be taken on the default device, or None where it cannot be told."""
    device: Any = jax.devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0) if "bytes_limit" in stats else None
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def check_fits(needed: int, members: int) -> None:
    """Refuse a population that does not fit.

    Args:
        needed: bytes of its states and records.
        members: its size.

    Raises:
        TooLarge: if it needs more than nine tenths of what is available.
    """
    available = available_bytes()
    if available is not None and needed > 0.9 * available:
        raise TooLarge(
            f"{members} runs need {needed / 2**30:.1f} GiB for their states and records, and {available / 2**30:.1f} "
            "GiB are free; run fewer at once, or record less often."
        )


def forget_programs(share: float = 0.6) -> bool:
    """Drop compiled programs if they have used up most of the memory maps that a process may have.

    XLA maps the code of each program, and where the system refuses another map (Linux grants 65,530) it crashes. A
    session that compiles thousands of programs gets there. What is still needed is compiled again.

    Args:
        share: of the limit, from which on programs are dropped.

    Returns:
        Whether they were dropped; never where the system does not tell its maps.
    """
    try:
        with open("/proc/self/maps", "rb") as maps, open("/proc/sys/vm/max_map_count") as limit:
            full = sum(1 for _ in maps) > share * int(limit.read())
    except (OSError, ValueError):
        return False
    if full:
        jax.clear_caches()
    return full
