"""The drivers: continuation, divergence, chunks, cancellation, and that the compiled one and its twin agree."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import separatrix._core.run as driver
from separatrix import (
    AbstractProcess,
    Cancelled,
    MiniBatches,
    Monitor,
    Probe,
    checkpointing,
    info_probe,
    log_spaced,
    monitored,
    run,
    run_on_host,
)
from separatrix._core.monitor import FolderMonitor
from separatrix.systems import LogisticMap
from separatrix.training.descent import HeavyBall

DRIVERS = pytest.mark.parametrize("drive", [run, run_on_host])


class Walk(AbstractProcess):
    """A noisy, fed process with a state of several types."""

    pull: float = 0.9
    stream: object = None

    def init(self, key):
        return {"x": jr.normal(key, (3,)), "count": jnp.array(0), "odd": jnp.array(False), "key": key}

    def step(self, state, x, key):
        fed = 0.0 if x is None else x.mean()
        after = {
            "x": self.pull * state["x"] + jr.normal(key, (3,)) + fed,
            "count": state["count"] + 1,
            "odd": ~state["odd"],
            "key": jr.fold_in(state["key"], 1),
        }
        return after, {"mean": after["x"].mean()}


WALK = Walk(0.9, MiniBatches(jnp.arange(12.0), 5))
PROBES = (
    info_probe("mean", every=3),
    Probe(lambda tr, key: {"x": tr.after["x"], "odd": tr.after["odd"], "fed": tr.x.sum()}, every=4, name="x"),
    Probe(
        lambda tr, key: {"noise": jr.normal(key), "at": tr.step, "moved": tr.after["x"] - tr.before["x"]},
        every=log_spaced(3),
        name="noise",
    ),
)


def raw(leaf):
    return jr.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def assert_same(a, b, rtol=0.0):
    def compare(x, y):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(raw(x), raw(y), rtol=rtol, atol=rtol)

    jax.tree.map(compare, a, b)


def assert_same_runs(a, b, rtol=0.0):
    assert_same(a.state, b.state, rtol)
    assert set(a.records.variables) == set(b.records.variables)
    for name, record in a.records.variables.items():
        other = b.records.variables[name]
        assert record.dims == other.dims
        assert record.attrs == other.attrs
        np.testing.assert_array_equal(record.steps, other.steps)
        assert_same(record.values, other.values, rtol)
    np.testing.assert_array_equal(a.records.diverged_at, b.records.diverged_at)
    assert a.records.population_dims == b.records.population_dims


# --- what a run computes


def test_run_equals_a_plain_loop():
    rate, x = 3.7, run(LogisticMap(3.7), jr.key(0), 0).state
    seen = Probe(lambda tr, key: {"x": tr.after, "before": tr.before, "step": tr.step}, every=2)
    result = run(LogisticMap(rate), jr.key(0), 6, probes=[seen])
    path = [x]
    for _ in range(6):
        path.append(rate * path[-1] * (1 - path[-1]))
    np.testing.assert_allclose(result.records["x"], path[2::2], rtol=1e-5)
    np.testing.assert_allclose(result.records["before"], path[1::2], rtol=1e-5)
    assert result.records["step"].tolist() == [2, 4, 6]
    np.testing.assert_allclose(result.state, path[-1], rtol=1e-5)


@DRIVERS
def test_no_steps_return_the_initial_state(drive):
    state, records = drive(WALK, jr.key(0), 0, probes=PROBES)
    assert_same(state, run(WALK, jr.key(0), 0).state)
    assert int(state["count"]) == 0
    assert int(records.diverged_at) == -1


def test_no_steps_leave_empty_records():
    records = run(WALK, jr.split(jr.key(0), 2), 0, probes=PROBES, block=1).records
    assert records["x"].shape == (2, 0, 3)
    assert records["noise"].shape == (2, 0)


@DRIVERS
@pytest.mark.parametrize("first", [1, 12, 23])
def test_continuation_equals_one_long_run(drive, first):
    each = [Probe(lambda tr, key: {"x": tr.after["x"], "noise": jr.normal(key), "at": tr.step, "fed": tr.x})]
    whole = drive(WALK, jr.key(3), 24, probes=each)
    begun = drive(WALK, jr.key(3), first, probes=each)
    ended = drive(WALK, jr.key(3), 24 - first, probes=each, state=begun.state, start=first)
    assert_same(ended.state, whole.state)
    for name, record in whole.records.variables.items():
        parts = [begun.records.variables[name], ended.records.variables[name]]
        np.testing.assert_array_equal(np.concatenate([p.steps for p in parts]), record.steps)
        np.testing.assert_array_equal(np.concatenate([p.values for p in parts]), record.values)


def test_number_of_rows_in_a_chunk_changes_no_bit(monkeypatch):
    whole = run(WALK, jr.key(3), 48, probes=PROBES)
    monkeypatch.setattr(driver, "ROWS_PER_CHUNK", 3)
    assert_same_runs(run(WALK, jr.key(3), 48, probes=PROBES), whole)
    monkeypatch.setattr(driver, "RECORD_BYTES_PER_CHUNK", 1)
    assert_same_runs(run(WALK, jr.key(3), 48, probes=PROBES), whole)


def test_equal_probes_and_other_cadences_compile_nothing_new():
    count = 0

    def fn(tr, key):
        nonlocal count
        count += 1
        return {"x": tr.after}

    run(LogisticMap(2.0), jr.key(0), 12, probes=[Probe(fn, every=4)])
    first, count = count, 0
    run(LogisticMap(3.0), jr.key(1), 6, probes=[Probe(fn, every=2, attrs={"x": {"units": "1"}})])
    assert first > 0
    assert count == 0
    assert info_probe("a", "b") == info_probe("a", "b")


# --- divergence


class Doubling(AbstractProcess):
    """Overflows after 128 steps, less the seed's head start."""

    def init(self, key):
        return jnp.array([1.0, 0.0])

    def step(self, state, x, key):
        return 2 * state, {"size": state[0]}


@DRIVERS
@pytest.mark.parametrize("probes", [(), (info_probe("size", every=50),), (info_probe("size", every=3),)])
def test_divergence_is_recorded_to_the_step_whatever_is_probed(drive, probes):
    state, records = drive(Doubling(), jr.key(0), 150, probes=probes)
    assert int(records.diverged_at) == 128  # 2^128 is above the largest float32
    assert np.isinf(state[0])


@DRIVERS
@pytest.mark.parametrize(("steps", "expected"), [(99, -1), (110, 110), (300, 128)])
def test_large_states_are_looked_at_every_32_steps_and_at_the_end(drive, steps, expected):
    # 2^28 2^100 is above the largest float32
    class Large(Doubling):
        def init(self, key):
            return jnp.full(5_000, 2.0**28)

    for probes in ((), (info_probe("size", every=lambda n: [n // 2, n]),)):
        assert int(drive(Large(), jr.key(0), steps, probes=probes).records.diverged_at) == expected
    blocked = run(Large(), jr.split(jr.key(0), 3), steps, block=2).records.diverged_at
    assert blocked.tolist() == [expected] * 3


def test_divergence_of_some_members_leaves_the_others_alone():
    keys = jr.split(jr.key(0), 3)
    bowl = HeavyBall(lambda w: 0.5 * w @ w, lambda key: jr.normal(key, (2,)), rate=1.0)
    result = run(bowl, keys, 200, over={"rate": [0.5, 4.0]}, probes=[info_probe("loss", every=10)], block=1)
    assert (result.records.diverged_at[0] == -1).all()
    assert ((result.records.diverged_at[1] > 70) & (result.records.diverged_at[1] < 90)).all()  # 3^n > 2^128
    assert np.isfinite(result.records["loss"][0]).all()
    alone = run(HeavyBall(bowl.loss, bowl.initial, rate=0.5), keys, 200, probes=[info_probe("loss", every=10)], block=1)
    np.testing.assert_array_equal(alone.records["loss"], result.records["loss"][0])


def test_whole_numbers_do_not_diverge():
    class Whole(AbstractProcess):
        def init(self, key):
            return jnp.array(0)

        def step(self, state, x, key):
            return state + 1, {}

    assert int(run(Whole(), jr.key(0), 3).records.diverged_at) == -1


# --- what is refused


class Changing(AbstractProcess):
    how: str

    def init(self, key):
        return {"a": jnp.zeros(2), "b": jnp.array(0)}

    def step(self, state, x, key):
        after = {
            "dtype": {"a": state["a"], "b": state["b"] + 0.5},
            "shape": {"a": jnp.zeros(3), "b": state["b"]},
            "structure": {"a": state["a"]},
        }
        return after[self.how], {}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("dtype", r"Changing.step must keep shapes and dtypes; .*\['b'\] went from int32\[\] to float32\[\]"),
        ("shape", r"Changing.step must keep shapes and dtypes; .*\['a'\] went from float32\[2\] to float32\[3\]"),
        ("structure", r"Changing.step must keep the structure of the state; it got .*'b'.* and returned .*'a'"),
    ],
)
def test_step_that_changes_the_state_s_type_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        run(Changing(how), jr.key(0), 3)


@DRIVERS
def test_two_probes_of_one_name_are_refused(drive):
    with pytest.raises(ValueError, match="two probes record 'mean'; give one of them another name"):
        drive(WALK, jr.key(0), 3, probes=[info_probe("mean"), info_probe("mean", every=3)])


@DRIVERS
def test_info_that_is_not_there_is_refused(drive):
    with pytest.raises(ValueError, match=r"the step reports \['mean'\]; it has no 'loss'"):
        drive(WALK, jr.key(0), 3, probes=[info_probe("loss")])


def test_probe_must_return_a_dictionary():
    with pytest.raises(ValueError, match="a probe must return a dictionary of arrays; got"):
        run(LogisticMap(2.0), jr.key(0), 3, probes=[Probe(lambda tr, key: tr.after)])


@DRIVERS
def test_cadence_that_does_not_fit_is_refused(drive):
    with pytest.raises(ValueError, match="Try steps=15"):
        drive(LogisticMap(2.0), jr.key(0), 14, probes=[Probe(lambda tr, key: {}, every=5)])


@DRIVERS
def test_state_goes_with_a_single_run_only(drive):
    with pytest.raises(ValueError, match="`state` continues a single run"):
        drive(LogisticMap(2.0), jr.split(jr.key(0), 2), 3, state=jnp.array(0.5))


def test_unhashable_field_is_refused():
    class Odd(AbstractProcess):
        what: object

        def init(self, key):
            return jnp.zeros(())

        def step(self, state, x, key):
            return state, {}

    with pytest.raises(TypeError, match="neither an array nor hashable"):
        run(Odd({1, 2}), jr.key(0), 1)


# --- the host's twin


@pytest.mark.parametrize("seeds", [None, 3])
def test_host_driver_equals_the_compiled_one(seeds):
    key = jr.key(5) if seeds is None else jr.split(jr.key(5), seeds)
    compiled, host = run(WALK, key, 24, probes=PROBES, block=1), run_on_host(WALK, key, 24, probes=PROBES)
    # keys, steps, inputs and noise agree exactly; sums and products to the last digit
    assert_same_runs(compiled, host, rtol=3e-6)
    for name in ("noise", "at", "odd", "fed"):
        np.testing.assert_array_equal(compiled.records[name], host.records[name])
    np.testing.assert_array_equal(compiled.state["count"], host.state["count"])


class Outside(AbstractProcess):
    """A process that no compiler can see through, with plain Python and NumPy in its state."""

    def init(self, key):
        return {"position": np.float64(0.0), "steps": 0, "trace": np.zeros(2), "name": "cart"}

    def step(self, state, x, key):
        moved = float(state["position"]) + 0.1
        after = {**state, "position": np.float64(moved), "steps": state["steps"] + 1, "trace": state["trace"] + moved}
        return after, {"position": moved}


def test_host_driver_runs_what_cannot_be_compiled():
    state, records = run_on_host(Outside(), jr.key(0), 10, probes=[info_probe("position", every=5)])
    assert state["steps"] == 10
    assert state["name"] == "cart"
    np.testing.assert_allclose(records["position"], [0.5, 1.0])


# --- monitors


class Stopping(FolderMonitor):
    """Asks to stop once a number of steps is done, and keeps checkpoints at once."""

    def __init__(self, folder, at=None, every_seconds=0.0):
        super().__init__(folder, every_seconds)
        self.at, self.done, self.loads, self.progress = at, 0, [], []

    def advance(self, label, step, latest):
        self.done = step
        self.progress.append((label, step, dict(latest)))

    def cancelled(self):
        return self.at is not None and self.done >= self.at

    def load(self, label):
        data = super().load(label)
        self.loads.append(data is not None)
        return data


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("at", [1, 20, 60])
def test_cancelled_run_saves_and_resumes_to_the_same_bits(tmp_path, at, block, monkeypatch):
    monkeypatch.setattr(driver, "ROWS_PER_CHUNK", 7)
    keys = jr.split(jr.key(6), 3)
    whole = run(WALK, keys, 96, probes=PROBES, block=block)
    with monitored(Stopping(tmp_path, at=at)) as monitor, pytest.raises(Cancelled, match=r"run stopped at step \d+"):
        run(WALK, keys, 96, probes=PROBES, block=block)
    assert monitor.done < 96
    with monitored(Stopping(tmp_path)) as monitor:
        resumed = run(WALK, keys, 96, probes=PROBES)  # the layout comes from the checkpoint
    assert monitor.loads == [True]
    assert min(step for _, step, _ in monitor.progress) > at
    assert_same_runs(resumed, whole)


@pytest.mark.parametrize("at", [1, 3, 4, 12, 17])  # on and off recorded steps
def test_cancelled_host_run_resumes_to_the_same_bits(tmp_path, at):
    keys = jr.split(jr.key(6), 2)
    whole = run_on_host(WALK, keys, 24, probes=PROBES)
    with monitored(Stopping(tmp_path, at=at)), pytest.raises(Cancelled, match=r"run/0 stopped at step \d+"):
        run_on_host(WALK, keys, 24, probes=PROBES)
    with monitored(Stopping(tmp_path)) as monitor:
        resumed = run_on_host(WALK, keys, 24, probes=PROBES)
    assert monitor.loads == [True, False]
    assert_same_runs(resumed, whole)


class HostOnly(AbstractProcess):
    """A host state of Python and NumPy numbers, which a checkpoint must give back as they were."""

    def init(self, key):
        return {"position": np.float64(0.1), "steps": 0, "trace": np.zeros(2), "speed": 0.25}

    def step(self, state, x, key):
        assert isinstance(state["position"], np.float64)
        assert isinstance(state["steps"], int)
        after = {
            "position": state["position"] + state["speed"] / 3,
            "steps": state["steps"] + 1,
            "trace": state["trace"] + state["position"],
            "speed": state["speed"] * 0.9,
        }
        return after, {"position": after["position"]}


def test_host_numbers_survive_a_checkpoint(tmp_path):
    probes = [Probe(lambda tr, key: {"position": tr.info["position"]}, every=5)]
    whole = run_on_host(HostOnly(), jr.key(0), 20, probes=probes)
    with monitored(Stopping(tmp_path, at=10)), pytest.raises(Cancelled):
        run_on_host(HostOnly(), jr.key(0), 20, probes=probes)
    with monitored(Stopping(tmp_path)):
        resumed = run_on_host(HostOnly(), jr.key(0), 20, probes=probes)
    assert resumed.records["position"].tolist() == whole.records["position"].tolist()
    assert resumed.state["position"] == whole.state["position"]
    assert resumed.state["trace"].tolist() == whole.state["trace"].tolist()


OTHER_RUNS = {
    "another key": (WALK, jr.key(8), 24, PROBES),
    "another parameter": (Walk(0.5, WALK.stream), jr.key(7), 24, PROBES),
    "other data": (Walk(0.9, MiniBatches(jnp.arange(12.0) + 1, 5)), jr.key(7), 24, PROBES),
    "another length": (WALK, jr.key(7), 48, PROBES),
    "other probes": (WALK, jr.key(7), 24, PROBES[:1]),
    "other recorded steps": (
        WALK,
        jr.key(7),
        24,
        (info_probe("mean", every=lambda n: [1, 2, 3, 4, 5, 6, 7, 24]), *PROBES[1:]),
    ),
}


@DRIVERS
@pytest.mark.parametrize("name", OTHER_RUNS)
def test_checkpoint_of_another_run_is_reported_and_not_used(tmp_path, drive, name):
    with monitored(Stopping(tmp_path, at=1)), pytest.raises(Cancelled):
        drive(WALK, jr.key(7), 24, probes=PROBES)
    process, key, steps, probes = OTHER_RUNS[name]
    expected = drive(process, key, steps, probes=probes)
    with checkpointing(tmp_path), pytest.warns(UserWarning, match="run: the checkpoint belongs to .* Starting over"):
        result = drive(process, key, steps, probes=probes)
    assert_same_runs(result, expected)


@pytest.mark.parametrize(("saved", "taken_up"), [(run, run_on_host), (run_on_host, run)])
def test_checkpoint_of_the_other_driver_is_not_used(tmp_path, saved, taken_up):
    with monitored(Stopping(tmp_path, at=1)), pytest.raises(Cancelled):
        saved(WALK, jr.key(7), 24, probes=PROBES)
    with checkpointing(tmp_path), pytest.warns(UserWarning, match="Starting over"):
        assert int(taken_up(WALK, jr.key(7), 24, probes=PROBES).state["count"]) == 24


@DRIVERS
def test_damaged_checkpoint_is_reported_and_not_used(tmp_path, drive):
    with monitored(Stopping(tmp_path, at=1)), pytest.raises(Cancelled):
        drive(WALK, jr.key(7), 24, probes=PROBES)
    (file,) = tmp_path.glob("*.ckpt")
    file.write_bytes(file.read_bytes()[:-5])
    with (
        checkpointing(tmp_path),
        pytest.warns(UserWarning, match="truncated or altered"),
    ):
        result = drive(WALK, jr.key(7), 24, probes=PROBES)
    assert_same_runs(result, drive(WALK, jr.key(7), 24, probes=PROBES))


def test_labels_keep_the_runs_of_one_folder_apart(tmp_path):
    for label in ("arm/one", "arm/two"):
        with monitored(Stopping(tmp_path, at=1)), pytest.raises(Cancelled):
            run(WALK, jr.key(7), 24, label=label)
    assert sorted(p.name for p in tmp_path.glob("*.ckpt")) == ["arm-one.ckpt", "arm-two.ckpt"]


def test_checkpoints_keep_their_distance_in_time(tmp_path):
    with checkpointing(tmp_path / "never", every_seconds=1e6):
        run(WALK, jr.key(7), 2_000, probes=PROBES[:0])
    assert not list((tmp_path / "never").glob("*.ckpt"))


@DRIVERS
def test_progress_reports_steps_and_the_last_scalars(tmp_path, drive):
    with monitored(Stopping(tmp_path)) as monitor:
        result = drive(WALK, jr.key(7), 24, probes=PROBES)
    label, step, latest = monitor.progress[-1]
    assert (label, step) == ("run", 24)
    assert latest["mean"] == pytest.approx(float(result.records["mean"][-1]))
    assert "x" not in latest
    steps = [s for _, s, _ in monitor.progress]
    assert steps == sorted(set(steps))


def test_chunks_grow_with_the_steps_taken(monkeypatch, tmp_path):
    # rows bound the first chunks; where records grow sparse, a chunk is at most eight times as long as the last
    monkeypatch.setattr(driver, "ROWS_PER_CHUNK", 8)
    dense_then_sparse = Probe(lambda tr, key: {}, every=lambda n: [*range(1, 400), n])
    with monitored(Stopping(tmp_path, every_seconds=1e6)) as monitor:
        run(LogisticMap(3.0), jr.key(0), 100_000, probes=[dense_then_sparse])
    sizes = np.diff([0, *(step for _, step, _ in monitor.progress)])
    assert (sizes[1:] <= 8 * sizes[:-1]).all()


def test_a_million_records_of_a_cheap_map():
    state, records = run(LogisticMap(3.9), jr.key(0), 10**6, probes=[Probe(lambda tr, key: {"x": tr.after})])
    assert records["x"].shape == (10**6,)
    assert records["x"][-1] == state
    assert 0 < records["x"].min() < records["x"].max() < 1


def test_plain_monitor_ignores_everything():
    with monitored(Monitor()):
        assert run(LogisticMap(2.0), jr.key(0), 3).records.attrs["block"] == 1
