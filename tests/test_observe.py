"""An observer of one's own loop measures what `run` measures, and survives what loops do."""

import dataclasses
import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import xarray as xr

from separatrix import FullBatch, Probe, info_probe, log_spaced, observe, run
from separatrix._core.program import first_state, run_keys, single_step
from separatrix.models import MLP
from separatrix.models.trained_arrays import put_back
from separatrix.study import curves
from separatrix.training import (
    Batch,
    NoisyBatch,
    Supervised,
    accuracy,
    collapse,
    curvature_noise,
    gauss_newton_estimates,
    gauss_newton_sharpness,
    half_squared_error,
    hessian_norm_probe,
    hessian_trace_probe,
    laziness,
    loss_scaled_trace_probe,
    losses,
    noise_trace,
    noisy_accuracy,
    norms,
    preconditioned_sharpness_probe,
    regression_errors,
    sharpness_probe,
    spectral_density_probe,
    tangent_alignment,
    weight_alignment,
)

PAGE = Path(__file__).parents[1] / "docs" / "observe.md"


def loss(w, batch):
    return jnp.mean((batch @ w) ** 2) / 2


DATA = jnp.array([[1.0, 0.0], [0.0, 2.0]])
W = jnp.ones(2)


def moved(tr, key):
    del key
    return {"moved": jnp.linalg.norm(tr.after.params - tr.before.params)}


def descend(observer, steps, w=W, **options):
    for step in range(1, steps + 1):
        w = w - 0.1 * jax.grad(loss)(w, DATA)
        observer(step, w, DATA, **options)
    return w


def test_records_equal_those_of_run():
    x = jr.normal(jr.key(0), (16, 3))
    data = Batch(x, (x[:, 0] > 0).astype(jnp.int32))
    process = Supervised(
        model=_Linear(),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.adam(0.1),
        stream=FullBatch(data),
        held_out=data,
        forward=_forward,
    )
    noise = Probe(lambda tr, key: {"noise": jr.normal(key)}, name="noise")
    probes = [accuracy(every=2), sharpness_probe(every=3), noise, info_probe("loss")]
    key = jr.key(5)
    expected = run(process, key, 6, probes=probes).records.to_dataset()

    def batch_loss(params, batch):
        return process.loss(batch.inputs @ params, batch.targets)

    own = observe(batch_loss, probes, outputs=lambda w, inputs: inputs @ w, held_out=(x, data.targets), key=key)
    whole = observe(process, probes, key=key)
    state = first_state(process, key, None)
    for i in range(6):
        state, info = single_step(process, process.stream, run_keys(key), state, jnp.int32(i))
        own(i + 1, state.params, (x, data.targets), opt_state=state.opt_state, info=info)
        whole(i + 1, state, data, info=info)
    for observer in (own, whole):
        found = observer.dataset().isel(arm=0, seed=0)
        for name in ("train_accuracy", "test_accuracy", "sharpness", "noise", "loss"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
            assert found[name].attrs == expected[name].attrs


class _Linear(eqx.Module):
    def __call__(self, key):
        return jr.normal(key, (3, 2))


def _forward(w, inputs, key):
    del key
    return inputs @ w


def test_every_probe_measures_what_it_measures_in_a_run():
    """With parameters that hold an integer beside the weights, which probes must not see."""
    x = jr.normal(jr.key(0), (12, 3))
    labels = (x[:, 0] > 0).astype(jnp.int32)
    data, noisy = Batch(x, labels), NoisyBatch(x, labels, jnp.arange(12) < 3)
    plain = Supervised(
        model=lambda key: _Counting(MLP(key, (3, 5, 2)), jnp.arange(3)),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.adam(0.1),
        stream=FullBatch(noisy),
        held_out=data,
    )
    probes = [
        *(accuracy(), collapse(), norms(), weight_alignment(), tangent_alignment(), losses(), sharpness_probe()),
        *(preconditioned_sharpness_probe(), hessian_trace_probe(), hessian_norm_probe(), loss_scaled_trace_probe()),
        *(spectral_density_probe(num_steps=5), gauss_newton_sharpness(), curvature_noise()),
        *(noise_trace(), laziness(start=lambda params: jax.tree.map(jnp.ones_like, params))),
    ]
    alone = [noisy_accuracy(), gauss_newton_estimates()]  # they record names that others do
    codes = Batch(x, jax.nn.one_hot(labels, 2))
    squared = dataclasses.replace(plain, loss=half_squared_error, stream=FullBatch(codes), held_out=codes)
    key = jr.key(5)
    for process, some in ((plain, probes), (plain, alone), (squared, [regression_errors()])):
        state, records = run(process, key, 2, probes=some)
        observer = observe(
            lambda model, batch, loss=process.loss: loss(jax.vmap(model)(batch.inputs), batch.targets),
            some,
            outputs=lambda model, inputs: jax.vmap(model)(inputs),
            example_loss=process.loss,
            held_out=process.held_out,
            key=key,
        )
        model, batch = put_back(process.model, state.params), process.stream.data
        found = eqx.filter_jit(observer.measure)(2, model, batch, opt_state=state.opt_state)
        for name, value in found.items():
            np.testing.assert_allclose(value, records[name][-1], rtol=2e-4, atol=1e-5, err_msg=name)


class _Counting(eqx.Module):
    net: MLP
    count: jax.Array

    def __call__(self, x):
        return self.net(x)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"such as `sharpness_probe\(\)`; got 'sharpness'"):
        observe(loss, ["sharpness"])
    with pytest.raises(ValueError, match="probe 'accuracy' needs batches of inputs and targets, a pair; got dict"):
        observe(loss, [accuracy()], outputs=lambda w, x: x)(1, W, {"x": DATA})
    with pytest.raises(ValueError, match="give `observe` an `example_loss` function"):
        observe(loss, [losses()], outputs=lambda w, x: x)(1, W, (DATA, DATA))


def test_data_set_is_labelled_and_drawn():
    probe = Probe(
        lambda tr, key: {"w": tr.after.params},
        every=2,
        dims={"w": ("parameter",)},
        attrs={"w": {"units": "1", "long_name": "weights"}},
    )
    observer = observe(loss, [probe, sharpness_probe(every=4)], arm="mine", seed=3)
    last = descend(observer, 4)
    ds = observer.dataset()
    assert ds["w"].dims == ("arm", "seed", "step", "parameter")
    assert ds["arm"].item() == "mine"
    assert ds["seed"].item() == 3
    np.testing.assert_array_equal(ds["step"], [2, 4])
    np.testing.assert_array_equal(ds["sharpness"].isnull().squeeze(), [True, False])
    np.testing.assert_allclose(ds["w"].isel(step=-1).squeeze(), last)
    assert curves("sharpness")(ds).axes[0].lines


def test_first_call_has_nothing_to_compare_with():
    observer = observe(loss, [Probe(moved)])
    observer(0, W, DATA)
    observer(1, W + 3.0, DATA)
    np.testing.assert_allclose(observer.dataset()["moved"].squeeze(), [np.nan, 3 * 2**0.5])
    explicit = observe(loss, [Probe(moved)])
    explicit(1, W + 3.0, DATA, before=W)
    np.testing.assert_allclose(explicit.dataset()["moved"].squeeze(), 3 * 2**0.5)


def test_donated_parameters_are_not_touched():
    observer = observe(loss, [Probe(moved)])
    first = W + 0.0
    observer(1, first, DATA)
    first.delete()
    observer(2, W, DATA)
    assert bool(observer.dataset()["moved"].isnull().all())


def test_cadence_that_needs_the_length():
    with pytest.raises(ValueError, match="pass `steps`"):
        observe(loss, [sharpness_probe(log_spaced())])
    observer = observe(loss, [Probe(moved, every=log_spaced(3))], steps=10)
    descend(observer, 10)
    np.testing.assert_array_equal(observer.dataset()["step"], log_spaced(3)(10))


def test_one_compilation_for_a_whole_loop():
    traces = []

    def counted(tr, key):
        del key
        traces.append(0)
        return {"norm": jnp.linalg.norm(tr.after.params)}

    descend(observe(loss, [Probe(counted)]), 5)
    assert len(traces) == 1
    descend(observe(loss, [Probe(counted)], compiled=False), 5)
    assert len(traces) == 6


def test_measure_inside_scan_equals_the_loop():
    probes = [sharpness_probe(every=2), Probe(lambda tr, key: {"noise": jr.normal(key)}, name="noise")]
    looped = observe(loss, probes)
    descend(looped, 4)
    scanned = observe(loss, probes)

    def body(w, step):
        w = w - 0.1 * jax.grad(loss)(w, DATA)
        return w, scanned.measure(step, w, DATA)

    steps = jnp.arange(1, 5)
    _, values = jax.lax.scan(body, W, steps)
    scanned.record(steps, {name: values[name] for name in ("sharpness", "sharpness_residual")})
    ds = looped.dataset()
    np.testing.assert_allclose(scanned.dataset()["sharpness"], ds["sharpness"].sel(step=[2, 4]), rtol=1e-5)
    np.testing.assert_allclose(values["noise"], ds["noise"].squeeze(), rtol=1e-6)
    with pytest.raises(ValueError, match="no probe names 'noise'"):
        scanned.record(steps, {"noise": values["noise"]})


def test_call_inside_a_compiled_function_is_refused():
    observer = observe(loss, [Probe(moved)])
    with pytest.raises(ValueError, match=r"call `observer.measure` there"):
        jax.jit(lambda w: observer(1, w, DATA))(W)


def test_a_probe_that_fails_first_raises_and_later_is_dropped():
    with pytest.raises(ValueError, match="give `observe` an `outputs` function"):
        observe(loss, [accuracy()])(1, W, (DATA, DATA))

    def square(tr, key):
        del key
        return {"square": jnp.trace(tr.x @ tr.x)}

    observer = observe(loss, [Probe(square, name="square"), Probe(moved, name="moved")])
    observer(1, W, DATA)
    with pytest.warns(RuntimeWarning, match="square at step 2"):
        observer(2, W, DATA[:1])
    observer(3, W, DATA)
    ds = observer.dataset()
    assert ds["square"].notnull().sum() == 1
    assert ds["moved"].sizes["step"] == 3
    assert "square at step 2" in ds.attrs["dropped_probes"]


def test_a_variable_that_changes_shape_is_dropped():
    observer = observe(loss, [Probe(lambda tr, key: {"rows": tr.x[:, 0]}, name="rows")])
    observer(1, W, DATA)
    with pytest.warns(RuntimeWarning, match=r"went from shape \(2,\) to \(1,\)"):
        observer(2, W, DATA[:1])
    assert observer.dataset().sizes["step"] == 1


def test_divergence_is_data():
    observer = observe(loss, [Probe(moved)])
    observer(1, W, DATA)
    observer(2, W * jnp.nan, DATA)
    observer(3, W * jnp.nan, DATA)
    assert observer.dataset()["diverged_at"].item() == 2


def test_steps_must_grow_and_names_differ():
    observer = observe(loss, [Probe(moved)])
    observer(1, W, DATA)
    with pytest.raises(ValueError, match="must grow; got 1 after 1"):
        observer(1, W, DATA)
    with pytest.raises(ValueError, match="must not be negative"):
        observe(loss, [])(-1, W, DATA)
    with pytest.raises(ValueError, match="distinct names"):
        observe(loss, [Probe(moved), Probe(moved)])
    twice = observe(loss, [Probe(moved, name="a"), Probe(moved, name="b")])
    with pytest.raises(ValueError, match="two probes record 'moved'"):
        twice(1, W, DATA)


def test_flax_loops_of_the_page():
    pytest.importorskip("flax")
    section = PAGE.read_text().split("## Flax")[1].split("\n## ")[0]
    x = jr.normal(jr.key(0), (32, 3))
    names = {
        "jax": jax, "jnp": jnp, "jr": jr, "optax": optax, "xr": xr,
        "observe": observe, "sharpness_probe": sharpness_probe, "x": x, "batch": (x, jnp.sin(x[:, 0])),
    }  # fmt: skip
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    both = names["both"]
    assert list(both["arm"].values) == ["linen", "nnx"]
    assert bool((both["sharpness"] > 0).all())
    assert bool((np.diff(both["sharpness"].values.squeeze()) != 0).all())  # nnx edits in place; the observer copies
