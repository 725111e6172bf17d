"""Interventions: what they change, when, and what probes see of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array

from separatrix import AbstractProcess, FullBatch, Probe, at_step, between, chain, replace, run, wrap_step
from separatrix.systems import LinearMap


class CounterState(NamedTuple):
    value: Array


class Counter(AbstractProcess):
    """Adds `rate` at each step."""

    rate: float = 1.0
    stream: object = None

    def init(self, key):
        return CounterState(jnp.zeros(()))

    def step(self, state, x, key):
        return CounterState(state.value + self.rate + (0 if x is None else x)), {"rate": jnp.asarray(self.rate)}


SEEN = Probe(lambda tr, key: {"value": tr.after.value, "before": tr.before.value, "rate": tr.process.rate * 1.0})


def path(process, steps=6):
    return run(process, jr.key(0), steps, probes=[SEEN]).records["value"].tolist()


def add(amount):
    return lambda state, key: CounterState(state.value + amount)


def scaled(factor):
    def wrap(step):
        def wrapped(state, x, key):
            after, info = step(state, x, key)
            return CounterState(state.value + factor * (after.value - state.value)), info

        return wrapped

    return wrap


def test_chain_applies_from_left_to_right():
    trail = []
    note = lambda name: lambda process: trail.append(name) or process  # noqa: E731
    process = Counter()
    assert chain(note("a"), note("b"), note("c"))(process) is process
    assert trail == ["a", "b", "c"]
    assert chain()(process) is process
    assert path(chain(replace(rate=2.0), replace(rate=3.0))(process), 1) == [3.0]


def test_at_step_edits_once_just_before_the_update_after_that_many():
    assert path(at_step(2, add(10.0))(Counter())) == [1, 2, 13, 14, 15, 16]
    assert path(at_step(0, add(10.0))(Counter())) == [11, 12, 13, 14, 15, 16]
    assert path(at_step(6, add(10.0))(Counter())) == [1, 2, 3, 4, 5, 6]


def test_between_covers_the_updates_from_first_to_before_last():
    assert path(between(2, 4, replace(rate=10.0))(Counter())) == [1, 2, 12, 22, 23, 24]
    assert path(between(0, 2**31 - 1, replace(rate=10.0))(Counter())) == [10, 20, 30, 40, 50, 60]
    assert path(between(3, 3, replace(rate=10.0))(Counter())) == [1, 2, 3, 4, 5, 6]


def test_wrap_step_changes_every_step():
    assert path(wrap_step(scaled(2.0))(Counter()), 3) == [2, 4, 6]


@pytest.mark.parametrize("order", ["at_step first", "wrap_step first"])
def test_interventions_see_the_state_of_the_process_in_any_order(order):
    both = [at_step(1, add(10.0)), at_step(3, add(100.0)), wrap_step(scaled(2.0))]
    assert path(chain(*(both if order == "at_step first" else both[::-1]))(Counter()), 5) == [2, 14, 16, 118, 120]


def test_wrap_step_reaches_both_sides_of_between():
    process = chain(between(1, 2, replace(rate=10.0)), wrap_step(scaled(2.0)))(Counter())
    assert path(process, 3) == [2, 22, 24]


def test_replace_looks_through_wrappers():
    for wrapper in (at_step(2, add(0.0)), wrap_step(scaled(1.0)), chain(at_step(9, add(0.0)), wrap_step(scaled(1.0)))):
        assert path(chain(wrapper, replace(rate=5.0))(Counter()), 2) == [5, 10]
        assert path(chain(replace(rate=5.0), wrapper)(Counter()), 2) == [5, 10]


def test_replace_fills_a_field_that_was_none():
    process = chain(at_step(9, add(0.0)), replace(stream=FullBatch(jnp.array(3.0))))(Counter())
    assert path(process, 2) == [4, 8]


def test_replacing_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="Counter has no field 'speed' to replace"):
        replace(speed=1.0)(Counter())
    with pytest.raises(ValueError, match="must have its fields replaced before"):
        replace(rate=1.0)(between(1, 2, replace(rate=2.0))(Counter()))


def test_probes_see_the_state_and_the_process_within():
    process = chain(at_step(2, add(10.0)), wrap_step(scaled(1.0)))(Counter(rate=0.5))
    state, records = run(process, jr.key(0), 4, probes=[SEEN])
    assert isinstance(state, CounterState)
    assert records["rate"].tolist() == [0.5] * 4
    assert records["before"].tolist() == [0, 0.5, 1.0, 11.5]


def test_edit_draws_from_the_key_of_its_step():
    noise = at_step(1, lambda state, key: CounterState(state.value + jr.normal(key)))
    states = run(noise(Counter()), jr.split(jr.key(0), 4), 3, block=1).state.value
    assert len(np.unique(states)) == 4


def test_grid_over_the_time_of_an_edit_is_traced():
    vary = lambda process, values: at_step(values["at"], lambda s, key: 2 * s)(process)  # noqa: E731
    process = LinearMap(jnp.eye(1) * 0.5)
    start = run(process, jr.key(0), 0).state
    states = run(process, jr.key(0), 3, over={"at": [0, 2, 5]}, vary=vary).state
    np.testing.assert_allclose(states, start / 8 * jnp.array([[2.0], [2.0], [1.0]]))


@pytest.mark.parametrize(
    "intervention", [at_step(5, add(10.0)), between(3, 6, replace(rate=7.0)), wrap_step(scaled(2.0))]
)
def test_continued_run_keeps_the_count(intervention):
    process = intervention(Counter())
    whole = run(process, jr.key(0), 8).state
    half = run(process, jr.key(0), 4).state
    assert run(process, jr.key(0), 4, state=half, start=4).state == whole


def test_between_needs_a_process_with_the_same_state():
    other = lambda process: LinearMap(jnp.eye(2))  # noqa: E731
    with pytest.raises((TypeError, ValueError)):
        run(between(1, 2, other)(Counter()), jr.key(0), 3)


def test_wrapped_process_is_compiled_once_for_all_times():
    count = 0

    def counting(step):
        def counted(state, x, key):
            nonlocal count
            count += 1
            return step(state, x, key)

        return counted

    base, edit = wrap_step(counting)(Counter()), add(1.0)
    run(at_step(1, edit)(base), jr.key(0), 4)
    first, count = count, 0
    run(at_step(3, edit)(base), jr.key(0), 4)
    assert first > 0
    assert count == 0
    assert jax.tree.leaves(at_step(3, edit)(base))  # the time is a traced leaf
