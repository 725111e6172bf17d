"""How a population is laid out: blocks of vmapped members, dispatched side by side.

A block of one is the plain program, and then no member's numbers depend on who else runs. On an accelerator one block
holds everybody; on several, each holds an equal share of that block. On a CPU neither wins always: vmap shares the
overhead of small operations, separate blocks keep the weights of a member in cache and use each core without
synchronisation. So it is measured.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

__all__ = ["blocks_of", "candidates", "num_workers", "run_blocks", "shard"]

LONGEST_BLOCK_ON_CPU = 32  # beyond it the members' weights and activations fall out of the cache (measured)


def num_workers() -> int:
    """Return how many blocks run side by side: the cores this process may use, or one on accelerators."""
    if jax.default_backend() != "cpu" or jax.local_device_count() > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def candidates(members: int) -> list[int]:
    """Return block sizes worth measuring, the cheapest to compile first."""
    devices = jax.local_device_count()
    if jax.default_backend() != "cpu" or devices > 1:
        return [-(-members // devices) * devices]
    share = -(-members // num_workers())
    return [1] if share < 4 else [1, min(LONGEST_BLOCK_ON_CPU, share)]


def blocks_of(members: int, size: int) -> np.ndarray:
    """Divide members into blocks of one size, the last filled up with the last member.

    Args:
        members: their number.
        size: members in a block.

    Returns:
        Member indices of shape `(blocks, size)`; entries past the first `members` are repetitions.
    """
    count = -(-members // size)
    return np.minimum(np.arange(count * size), members - 1).reshape(count, size)


def shard(arguments: Sequence[Any], axes: Sequence[Any], block: int) -> list[Any]:
    """Spread a block over the devices of this machine, in equal parts.

    Args:
        arguments: pytrees of arrays.
        axes: for each, 0 if its leading axis is that of the members, None if all members share it.
        block: members in the block.

    Returns:
        The arguments, placed; unchanged where there is one device, or the block has no equal parts.
    """
    devices = jax.local_devices()
    if len(devices) == 1 or block % len(devices):
        return list(arguments)
    mesh = jax.sharding.Mesh(np.array(devices), ("members",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("members"))
    shared = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return [jax.device_put(a, shared if axis is None else spread) for a, axis in zip(arguments, axes, strict=True)]


@contextlib.contextmanager
def _like_caller(x64: bool, precision: Any) -> Iterator[None]:
    # jax keeps these settings per thread
    with jax.enable_x64(x64), jax.default_matmul_precision(precision):
        yield


def run_blocks(fn: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], workers: int) -> list[Any]:
    """Call `fn` on each block's arguments and wait for the results.

    Args:
        fn: a compiled function; it releases the interpreter while it runs.
        arguments: one tuple for each block.
        workers: calls in flight.

    Returns:
        The results in order, computed.
    """
    if workers == 1 or len(arguments) == 1:
        return [jax.block_until_ready(fn(*a)) for a in arguments]
    config: Any = jax.config  # its options are made at run time, unknown to type checkers
    x64, precision = config.jax_enable_x64, config.jax_default_matmul_precision

    def call(a):
        with _like_caller(x64, precision):
            return jax.block_until_ready(fn(*a))

    with ThreadPoolExecutor(min(workers, len(arguments))) as pool:
        return list(pool.map(call, arguments))
