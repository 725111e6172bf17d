"""How a population is divided, and that the division does not show."""

import threading

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import separatrix._core.layout as layout
import separatrix._core.run as driver
from separatrix import Cancelled, Monitor, checkpointing, info_probe, monitored, run
from separatrix._core.layout import blocks_of, candidates, run_blocks
from separatrix._core.monitor import FolderMonitor
from separatrix.training.descent import HeavyBall


@pytest.mark.parametrize("members", [1, 2, 5, 12])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_blocks_hold_each_member_once_and_fill_up_with_the_last(members, size):
    blocks = blocks_of(members, size)
    assert blocks.shape == (-(-members // size), size)
    flat = blocks.reshape(-1)
    assert flat[:members].tolist() == list(range(members))
    assert (flat[members:] == members - 1).all()


def test_candidates_start_with_one_and_share_the_cores(monkeypatch):
    monkeypatch.setattr(layout, "num_workers", lambda: 4)
    assert candidates(15) == [1, 4]
    assert candidates(12) == [1]
    assert candidates(1_000) == [1, 32]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_blocks_come_back_in_order_with_the_settings_of_the_caller(workers):
    @jax.jit
    def double(x):
        return 2 * x

    with jax.enable_x64(), jax.default_matmul_precision("highest"):
        results = run_blocks(double, [(np.float64(1 / 3 + i),) for i in range(7)], workers)
    assert [r.dtype for r in results] == [jnp.dtype("float64")] * 7
    assert [float(r) for r in results] == [2 * (1 / 3 + i) for i in range(7)]


def test_blocks_run_side_by_side():
    barrier = threading.Barrier(2, timeout=20)  # two calls must be in flight at once

    def meet(x):
        barrier.wait()
        return jnp.asarray(x)

    assert [int(r) for r in run_blocks(meet, [(i,) for i in range(4)], 2)] == [0, 1, 2, 3]


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 10 * (w[1] - w[0] ** 2) ** 2


def start(key):
    return jr.normal(key, (2,))


BALL = HeavyBall(rosenbrock, start, rate=1e-3, momentum=0.9)
LOSS = info_probe("loss", every=5)
KEYS = jr.split(jr.key(0), 5)


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("block", [1, 2])
def test_number_of_workers_changes_no_bit(monkeypatch, workers, block):
    expected = run(BALL, KEYS, 50, probes=[LOSS], block=block)
    monkeypatch.setattr(driver, "num_workers", lambda: workers)
    result = run(BALL, KEYS, 50, probes=[LOSS], block=block)
    assert_same_bits(result.state, expected.state)
    np.testing.assert_array_equal(result.records["loss"], expected.records["loss"])


@pytest.mark.parametrize("block", [2, 3, 5, 100])
def test_block_size_changes_rounding_at_most(block):
    plain, blocked = run(BALL, KEYS, 50, probes=[LOSS], block=1), run(BALL, KEYS, 50, probes=[LOSS], block=block)
    assert blocked.records.attrs["block"] == min(block, 5)
    np.testing.assert_allclose(blocked.records["loss"], plain.records["loss"], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), blocked.state, plain.state)


@pytest.mark.parametrize("block", [0, -1])
def test_impossible_block_is_refused(block):
    with pytest.raises(ValueError, match=f"`block` must be at least 1; got {block}."):
        run(BALL, KEYS, 5, block=block)


class Settling(Monitor):
    """Proposals, and a rival's that came first, if there is one."""

    def __init__(self, before=None, rival=None):
        self.before, self.rival, self.blocks = before, rival, []

    def layout(self, label):
        return self.before

    def settle(self, label, block):
        self.blocks.append(block)
        return self.rival or block


@pytest.fixture
def measuring(monkeypatch):
    """Two layouts to choose from, and runs of any length are worth it."""
    monkeypatch.setattr(driver, "SECONDS_WORTH_MEASURING", 0.0)
    monkeypatch.setattr(driver, "candidates", lambda members: [1, 4])


def test_measured_layout_is_one_of_the_candidates_and_reported(measuring):
    keys = jr.split(jr.key(1), 8)
    with monitored(Settling()) as monitor:
        result = run(BALL, keys, 50, probes=[LOSS])
    (block,) = monitor.blocks
    assert block in (1, 4)
    assert result.records.attrs["block"] == block
    expected = run(BALL, keys, 50, probes=[LOSS], block=block)
    assert_same_bits(result.state, expected.state)
    np.testing.assert_array_equal(result.records["loss"], expected.records["loss"])


def test_layout_of_an_earlier_run_is_kept():
    with monitored(Settling(before=3)) as monitor:
        result = run(BALL, KEYS, 5)
    assert monitor.blocks == [3]
    assert result.records.attrs["block"] == 3


def test_layout_that_another_process_settled_meanwhile_holds(measuring):
    with monitored(Settling(rival=2)) as monitor:
        result = run(BALL, KEYS, 50, probes=[LOSS])
    assert monitor.blocks[0] in (1, 4)
    assert result.records.attrs["block"] == 2
    assert_same_bits(result.state, run(BALL, KEYS, 50, probes=[LOSS], block=2).state)


def favour(monkeypatch, block):
    """Make a stop-watch that finds this block size the quicker one."""
    monkeypatch.setattr(
        driver._Driver, "_seconds_for", lambda self, steps: self._Trial(steps, 1.0 if self.block == block else 2.0)
    )


def test_a_run_that_was_killed_before_its_first_checkpoint_keeps_its_layout(measuring, monkeypatch, tmp_path):
    keys = jr.split(jr.key(1), 8)
    for quicker in (4, 1):  # another life, another outcome of the measurement
        favour(monkeypatch, quicker)
        with checkpointing(tmp_path):
            result = run(BALL, keys, 50, probes=[LOSS])
        assert result.records.attrs["block"] == 4
        assert not list(tmp_path.glob("*.ckpt"))


def test_a_checkpoint_of_another_layout_is_not_used(measuring, tmp_path):
    class Stopping(FolderMonitor):
        def cancelled(self):
            return True

    keys = jr.split(jr.key(1), 8)
    with monitored(Stopping(tmp_path)), pytest.raises(Cancelled):
        run(BALL, keys, 400, probes=[LOSS], block=4)
    (tmp_path / "run.block").write_text("1")
    with checkpointing(tmp_path), pytest.warns(UserWarning, match="the checkpoint has another layout. Starting over"):
        assert run(BALL, keys, 400, probes=[LOSS]).records.attrs["block"] == 1


def test_no_steps_need_no_measurement(monkeypatch):
    monkeypatch.setattr(driver, "candidates", lambda members: [1, 4])
    result = run(BALL, jr.split(jr.key(1), 8), 0, probes=[LOSS])
    assert result.records["loss"].shape == (8, 0)
