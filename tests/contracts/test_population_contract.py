"""Growing a population changes no number of those who were there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import MiniBatches, at_step, info_probe, named_key, run
from separatrix._core.population import set_fields
from separatrix.systems import LogisticMap

from .cases import PROCESSES, classifier, displacement, examples, heavy_ball

STEPS = 6
LOSS = [info_probe("loss", every=2), displacement(3)]


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def records_of(result):
    return {name: record.values for name, record in result.records.variables.items()}


def member(state, index):
    return jax.tree.map(lambda a: a[index], state)


@pytest.fixture(params=["heavy ball", "supervised"])
def process(request):
    return PROCESSES[request.param].build(jnp.float32)


def test_one_more_seed_changes_no_bit_in_blocks_of_one(process):
    keys = jr.split(jr.key(0), 4)
    few, more = (run(process, keys[:n], STEPS, probes=LOSS, block=1) for n in (3, 4))
    assert_same_bits(few.state, jax.tree.map(lambda a: a[:3], more.state))
    assert_same_bits(records_of(few), jax.tree.map(lambda a: a[:3], records_of(more)))


def test_one_more_seed_changes_no_bit_while_the_block_size_stays(process):
    # a block of 2 holds other members then, or a repetition; its program is the same
    keys = jr.split(jr.key(0), 4)
    few, more = (run(process, keys[:n], STEPS, probes=LOSS, block=2) for n in (3, 4))
    assert_same_bits(few.state, jax.tree.map(lambda a: a[:3], more.state))
    assert_same_bits(records_of(few), jax.tree.map(lambda a: a[:3], records_of(more)))


def test_order_of_seeds_is_the_order_of_results():
    keys = jr.split(jr.key(0), 5)
    process = heavy_ball(jnp.float32)
    straight, reverse = (run(process, k, STEPS, probes=LOSS, block=2) for k in (keys, keys[::-1]))
    assert_same_bits(straight.state, jax.tree.map(lambda a: a[::-1], reverse.state))
    assert_same_bits(straight.records["loss"], reverse.records["loss"][::-1])


def test_one_more_grid_point_changes_no_bit(process):
    if not hasattr(process, "rate"):
        vary = lambda p, v: eqx.tree_at(lambda q: q.held_out.inputs, p, v["rate"] * p.held_out.inputs)  # noqa: E731
    else:
        vary = None
    keys = jr.split(jr.key(0), 2)
    few, more = (
        run(process, keys, STEPS, probes=LOSS, block=1, over={"rate": np.array(rates, np.float32)}, vary=vary)
        for rates in ([0.01, 0.1], [0.01, 0.05, 0.1])
    )
    kept = jnp.array([0, 2])
    assert_same_bits(few.state, jax.tree.map(lambda a: a[kept], more.state))
    assert_same_bits(records_of(few), jax.tree.map(lambda a: a[np.asarray(kept)], records_of(more)))


@pytest.mark.parametrize("block", [1, 2, 5])
def test_grid_equals_separate_runs(block):
    process, keys = heavy_ball(jnp.float32), jr.split(jr.key(1), 2)
    rates, momenta = np.array([0.01, 0.1], np.float32), np.array([0.0, 0.5, 0.9], np.float32)
    together = run(process, keys, STEPS, probes=LOSS, over={"rate": rates, "momentum": momenta}, block=block)
    assert together.records.population_dims == ("rate", "momentum", "seed")
    assert together.records["loss"].shape == (2, 3, 2, 3)
    for i, rate in enumerate(rates):
        for j, momentum in enumerate(momenta):
            for k, key in enumerate(keys):
                changed = set_fields(process, {"rate": jnp.asarray(rate), "momentum": jnp.asarray(momentum)})
                alone = run(changed, key, STEPS, probes=LOSS)
                if block == 1:
                    assert_same_bits(alone.state, member(together.state, (i, j, k)))
                np.testing.assert_allclose(alone.records["loss"], together.records["loss"][i, j, k], rtol=1e-5)


@pytest.mark.parametrize("block", [1, 3])
def test_values_that_vary_together_equal_separate_runs(block):
    process, keys = heavy_ball(jnp.float32), jr.split(jr.key(1), 2)
    pairs = {"rate": np.array([0.01, 0.1, 0.2], np.float32), "momentum": np.array([0.9, 0.5, 0.0], np.float32)}
    together = run(process, keys, STEPS, probes=LOSS, over={"point": pairs}, block=block).records
    assert together.population_dims == ("point", "seed")
    for i in range(3):
        for k, key in enumerate(keys):
            changed = set_fields(process, {name: jnp.asarray(values[i]) for name, values in pairs.items()})
            alone = run(changed, key, STEPS, probes=LOSS).records
            np.testing.assert_allclose(alone["loss"], together["loss"][i, k], rtol=1e-5)


def test_values_that_vary_together_have_one_length():
    pairs = {"rate": np.ones(3), "momentum": np.ones(2)}
    with pytest.raises(ValueError, match=r"of one length for 'point'; got \(2,\), \(3,\)"):
        run(heavy_ball(jnp.float32), jr.key(0), STEPS, over={"point": pairs})


def test_grid_reaches_the_fields_of_a_wrapped_process():
    process = at_step(2, lambda s, key: s / 2)(LogisticMap(3.0))
    together = run(process, jr.key(0), STEPS, over={"rate": [2.0, 3.5]}, block=1)
    for rate, state in zip([2.0, 3.5], together.state, strict=True):
        alone = run(at_step(2, lambda s, key: s / 2)(LogisticMap(rate)), jr.key(0), STEPS)
        np.testing.assert_array_equal(state, alone.state)


def test_vary_says_where_a_grid_value_goes():
    vary = lambda p, v: LogisticMap(v["third"] * 3)  # noqa: E731
    together = run(LogisticMap(1.0), jr.key(0), STEPS, over={"third": [0.5, 1.0]}, vary=vary, block=1)
    for rate, state in zip([1.5, 3.0], together.state, strict=True):
        np.testing.assert_array_equal(state, run(LogisticMap(rate), jr.key(0), STEPS).state)


def test_stream_of_a_varied_process_is_the_one_in_use():
    def vary(process, values):
        return eqx.tree_at(lambda p: p.stream.data.inputs, process, replace_fn=lambda x: values["gain"] * x)

    process = classifier(jnp.float32)
    together = run(process, jr.key(0), STEPS, over={"gain": np.float32([1, 3])}, vary=vary, block=1, probes=LOSS)
    for gain, losses in zip([1.0, 3.0], together.records["loss"], strict=True):
        alone = run(vary(process, {"gain": jnp.float32(gain)}), jr.key(0), STEPS, probes=LOSS)
        np.testing.assert_array_equal(losses, alone.records["loss"])
    assert not np.array_equal(*together.records["loss"])


def _own(key):
    data = examples(16, jnp.float32)
    shift = jr.normal(key, (5,))
    return eqx.tree_at(
        lambda p: (p.stream, p.held_out),
        classifier(jnp.float32),
        (MiniBatches(data._replace(inputs=data.inputs + shift), 4), data._replace(inputs=data.inputs - shift)),
    )


@pytest.mark.parametrize("block", [1, 3])
def test_process_of_each_seed_equals_separate_runs(block):
    keys = jr.split(jr.key(2), 3)
    together = run(_own, keys, STEPS, probes=LOSS, block=block)
    for i, key in enumerate(keys):
        own = eqx.filter_jit(_own)(named_key(key, "process"))
        alone = run(own, key, STEPS, probes=LOSS)
        if block == 1:
            assert_same_bits(alone.state, member(together.state, i))
            assert_same_bits(records_of(alone), {k: v[i] for k, v in records_of(together).items()})
        np.testing.assert_allclose(alone.records["loss"], together.records["loss"][i], rtol=1e-5)
    single = run(_own, keys[1], STEPS, probes=LOSS)
    np.testing.assert_allclose(single.records["loss"], together.records["loss"][1], rtol=1e-5)
    assert len(np.unique(together.records["loss"][:, 0])) == 3


@pytest.mark.parametrize("block", [1, 2])
def test_list_of_processes_equals_separate_runs(block):
    keys = jr.split(jr.key(3), 2)
    processes = [LogisticMap(2.5), LogisticMap(3.5)]
    together = run(processes, keys, STEPS, block=block)
    for process, key, state in zip(processes, keys, together.state, strict=True):
        np.testing.assert_allclose(state, run(process, key, STEPS).state, rtol=0 if block == 1 else 1e-6)


def test_arms_do_not_know_of_each_other():
    # an arm is a run of its own: same key, same initial state and data order, whatever else ran before
    plain = run(classifier(jnp.float32), jr.key(4), STEPS, probes=LOSS)
    run(PROCESSES["supervised"].build(jnp.float32), jr.key(5), STEPS, probes=LOSS[:1])
    again = run(classifier(jnp.float32), jr.key(4), STEPS, probes=LOSS)
    assert_same_bits(plain.state, again.state)
    assert_same_bits(records_of(plain), records_of(again))


def test_wrong_number_or_kind_of_processes_is_refused():
    with pytest.raises(ValueError, match="there must be one process for each key; got 1 for 2"):
        run([LogisticMap(2.0)], jr.split(jr.key(0), 2), 1)
    with pytest.raises(ValueError, match="`process` must be a process, or give some; it gave float"):
        run(lambda key: 1.0, jr.key(0), 1)
    with pytest.raises(ValueError, match="may differ in their arrays only"):
        run([LogisticMap(2.0), heavy_ball(jnp.float32)], jr.split(jr.key(0), 2), 1)


def test_unknown_grid_field_is_refused():
    with pytest.raises(ValueError, match="LogisticMap has no field 'growth'; pass `vary`"):
        run(LogisticMap(2.0), jr.key(0), 1, over={"growth": [1.0]})
    with pytest.raises(ValueError, match="`over` needs non-empty vectors of one length for 'rate'"):
        run(LogisticMap(2.0), jr.key(0), 1, over={"rate": []})
