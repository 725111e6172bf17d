"""A population that cannot fit is refused before it starts."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from separatrix import Probe, run
from separatrix._core import memory
from separatrix._core.memory import TooLarge, available_bytes, forget_programs, tree_bytes
from separatrix.systems import LinearMap


def test_bytes_of_a_tree_are_those_of_its_arrays():
    tree = {"a": jnp.zeros((3, 5)), "b": (jnp.zeros(7, jnp.int8), jax.ShapeDtypeStruct((2,), jnp.float32))}
    assert tree_bytes(tree) == 3 * 5 * 4 + 7 + 2 * 4


def test_there_is_memory_and_less_than_a_petabyte():
    assert 2**20 < available_bytes() < 2**50


def test_population_that_needs_more_than_there_is_is_refused(monkeypatch):
    process, keys = LinearMap(jnp.eye(100)), jr.split(jr.key(0), 50)
    probe = Probe(lambda tr, key: {"x": tr.after}, every=10)
    needs = 50 * 10 * 100 * 4  # records alone
    monkeypatch.setattr(memory, "available_bytes", lambda: needs)
    with pytest.raises(TooLarge, match=r"50 runs need 0\.0 GiB for their states and records"):
        run(process, keys, 100, probes=[probe])
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * needs)
    run(process, keys, 100, probes=[probe])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell its memory maps")
def test_programs_are_dropped_when_maps_run_out_and_their_maps_come_back():
    count = lambda: len(Path("/proc/self/maps").read_bytes().splitlines())  # noqa: E731
    before = count()
    programs = [jax.jit(lambda x, i=i: jnp.sin(x) + i) for i in range(20)]
    for program in programs:
        program(1.0)
    grown = count()
    assert grown > before + 20  # each has some; a few others come and go
    assert not forget_programs()  # far from the limit
    assert count() > grown - 10
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    assert forget_programs(share=before / limit)
    assert count() < grown - 20
    assert programs[3](0.0) == 3.0  # compiled again


def test_every_run_looks_after_the_maps_before_it_compiles(monkeypatch):
    looked = []
    monkeypatch.setattr(sys.modules["separatrix._core.run"], "forget_programs", lambda: looked.append(True))
    run(LinearMap(jnp.eye(2)), jr.key(0), 1)
    assert looked == [True]
