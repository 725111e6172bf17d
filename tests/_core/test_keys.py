"""Keys by name."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from separatrix import AbstractProcess, Probe, named_key, run, run_on_host
from separatrix.systems import LogisticMap


def test_names_and_parents_give_different_keys():
    keys = [named_key(parent, name) for parent in jr.split(jr.key(0), 5) for name in ("init", "step", "stream", "")]
    assert len({tuple(jr.key_data(k).tolist()) for k in keys}) == len(keys)


def test_key_of_a_name_is_fixed_for_all_time():
    # stored numbers: results of earlier versions depend on them
    assert jr.key_data(named_key(jr.key(0), "init")).tolist() == [3775407630, 2232087515]


def test_name_may_be_folded_in_under_vmap():
    keys = jr.split(jr.key(1), 3)
    together = jax.vmap(lambda k: named_key(k, "a"))(keys)
    assert [named_key(k, "a") == t for k, t in zip(keys, together, strict=True)] == [True] * 3


@pytest.mark.parametrize("driver", [run, run_on_host])
def test_what_is_no_key_is_refused(driver):
    with pytest.raises(ValueError, match=r"`key` must come from `jax.random.key`; got an array of uint32"):
        driver(LogisticMap(2.0), jr.PRNGKey(0), 1)
    with pytest.raises(ValueError, match=r"one key or a non-empty vector of keys; got shape \(2, 2\)"):
        driver(LogisticMap(2.0), jr.split(jr.key(0), (2, 2)), 1)
    with pytest.raises(ValueError, match=r"one key or a non-empty vector of keys; got shape \(0,\)"):
        driver(LogisticMap(2.0), jr.split(jr.key(0), 2)[:0], 1)


def test_a_probe_named_like_another_consumer_draws_other_numbers():
    probe = Probe(lambda tr, key: {"u": jr.uniform(key)}, name="init")
    drawn = run(LogisticMap(2.0), jr.key(0), 5, probes=[probe]).records["u"].tolist()
    assert len({*drawn, float(jr.uniform(named_key(jr.key(0), "init")))}) == 6


class _Draws(AbstractProcess):
    """Its state is what its key and its stream's key drew last."""

    def init(self, key):
        return jnp.zeros(2)

    def step(self, state, x, key):
        return jnp.stack([jr.uniform(key), x]), {}


@pytest.mark.parametrize("driver", [run, run_on_host])
def test_each_step_draws_its_own_numbers_apart_from_the_stream(driver):
    stream = lambda step, key: jr.uniform(jr.fold_in(key, step))  # noqa: E731
    drawn = Probe(lambda tr, key: {"drawn": tr.after})
    values = driver(_Draws(), jr.key(0), 20, stream=stream, probes=[drawn]).records["drawn"]
    assert len(set(values.ravel().tolist())) == 40
