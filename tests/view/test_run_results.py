"""Results are opened lazily, read again when cells change, and an old answer is never taken for a new one."""

import numpy as np
import pytest

from separatrix.study.runs import find_runs
from separatrix.view import run_results
from separatrix.view.judging import Judging
from separatrix.view.library import Library
from separatrix.view.run_results import RunResults

from .view_store import SAMPLE, fill_sample


def test_a_fresh_store_is_opened_without_reading_its_values(tmp_path):
    store = fill_sample(tmp_path, steps=400)
    opened = RunResults().open(store)
    assert opened.lazy
    assert not opened.dataset["loss"].variable._in_memory
    np.testing.assert_array_equal(opened.dataset["loss"].values, store.results()["loss"].values)


def test_a_stale_store_is_not_trusted(tmp_path):
    store = fill_sample(tmp_path, steps=400)
    next(store.cells.glob("*.npz")).unlink()
    opened = RunResults().open(store)
    assert not opened.lazy
    assert opened.dataset.loss.isnull().any()


def test_an_answer_is_computed_once_for_each_state_of_the_cells(tmp_path):
    store, results, asked = fill_sample(tmp_path, steps=400), RunResults(), []
    for _ in range(3):
        results.derive(store, "sum", lambda ds: asked.append(float(ds.loss.sum())))
    assert len(asked) == 1
    next(store.cells.glob("*.npz")).unlink()
    results.derive(store, "sum", lambda ds: asked.append(float(ds.loss.sum())))
    assert len(asked) == 2
    assert asked[1] < asked[0]


def test_cells_are_not_joined_again_at_once_and_the_answer_says_which_it_rests_on(tmp_path, monkeypatch):
    monkeypatch.setattr(run_results, "PATIENCE", 1e9)
    store, results = fill_sample(tmp_path, keep=0.5, steps=400), RunResults()
    before = store.fingerprint()
    arms = lambda ds: ds.sizes["arm"]  # noqa: E731
    assert results.derive_stamped(store, "arms", arms) == (2, before)
    fill_sample(tmp_path, steps=400)
    (store.folder / "results.zarr").rename(store.folder / "aside")
    assert results.derive_stamped(store, "arms", arms) == (2, before)
    judging = Judging(Library([SAMPLE]), results)
    run = find_runs(tmp_path)[0][0]
    verdicts, stamp = judging.now(run, store)
    assert [v.verdict for v in verdicts] == ["reproduced", "inconclusive"]
    assert stamp == before != store.fingerprint()
    (store.folder / "aside").rename(store.folder / "results.zarr")
    verdicts, stamp = judging.now(run, store)
    assert [v.verdict for v in verdicts] == ["reproduced", "not reproduced"]
    assert stamp == store.fingerprint()
    judging.close()


def test_an_error_is_passed_on_and_not_remembered(tmp_path):
    store, results = fill_sample(tmp_path, steps=400), RunResults()
    with pytest.raises(ZeroDivisionError):
        results.derive(store, "x", lambda ds: 1 / 0)
    assert results.derive(store, "x", lambda ds: 1) == 1
