"""Features by hand, frequency of a set, archives on disk, and codes that tell classes apart."""

import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics.classification_series import digit_rows, load_series_set, packaged_sets
from separatrix.dynamics.feature_set import FEATURES, series_features
from separatrix.dynamics.surrogate_transfer import (
    code_features,
    ridge_accuracy,
    significant_frequency,
    surrogate_series,
    train_autoencoder,
)
from separatrix.models.convolutional_autoencoder import ConvolutionalAutoencoder


def feature(x, name):
    return series_features(np.atleast_2d(x))[0, FEATURES.index(name)]


def test_features_by_hand():
    x = np.tile([0.0, 1.0], 20)
    assert feature(x, "mean") == 0.5
    assert feature(x, "standard deviation") == 0.5
    assert feature(x, "autocorrelation 1") == pytest.approx(-1.0)
    assert feature(x, "autocorrelation 2") == pytest.approx(1.0)
    assert feature(x, "crossings of the mean") == 1.0
    assert feature(x, "spectral centroid") == pytest.approx(0.5)
    assert feature(x, "power share 4/4") == pytest.approx(1.0)
    assert feature(3 * np.arange(11.0), "slope") == pytest.approx(30.0)
    assert feature(np.r_[np.zeros(9), 1.0], "time of the maximum") == 0.9
    assert np.isfinite(series_features(np.ones((2, 12)))).all()
    with pytest.raises(ValueError, match="9 samples at least"):
        series_features(np.ones((2, 5)))


@pytest.mark.parametrize("period", [6.0, 10.0, 24.0])
def test_frequency_of_a_set_is_that_of_its_waves(period):
    rng = np.random.default_rng(0)
    x = np.sin(2 * np.pi * np.arange(240) / period + rng.uniform(0, 6, (8, 1))) + 0.5 * rng.normal(size=(8, 240))
    assert 1 / significant_frequency(x) == pytest.approx(period, rel=0.05)


def test_surrogates_are_standardised_and_have_the_pace():
    x = surrogate_series(["Rossler"], 20, points=400, transient=5.0)
    assert x.mean() == pytest.approx(0, abs=1e-9)
    assert x.std() == pytest.approx(1)
    assert 1 / significant_frequency(x) == pytest.approx(20, rel=0.1)


def test_autoencoder_is_causal_and_learns():
    model = ConvolutionalAutoencoder(jr.key(0))
    x = np.random.default_rng(0).normal(size=60).astype(np.float32)
    y = x.copy()
    y[31:] += 1  # row k of the code ends at sample 3 k
    code, other = np.asarray(model.encode(x)), np.asarray(model.encode(y))
    np.testing.assert_allclose(code[:11], other[:11], atol=1e-6)
    assert np.abs(code[11:] - other[11:]).max() > 0


def test_archives_are_read_in_both_formats(tmp_path):
    (tmp_path / "Toy").mkdir()
    (tmp_path / "Toy" / "Toy_TRAIN.ts").write_text(
        "# made up\n@problemName Toy\n@data\n1,2,3:9,9,9:a\n4,?,6,7:0,0,0,0:b\n"
    )
    (tmp_path / "Toy" / "Toy_TEST.tsv").write_text("1\t1.0\t2.0\t3.0\tNaN\n2\t5.0\tNaN\t7.0\t8.0\n")
    found = load_series_set(tmp_path, "Toy")
    assert found.train.tolist() == [[1, 2, 3, 3], [4, 5, 6, 7]]  # continued, and interpolated
    assert found.labels.tolist() == ["a", "b"]
    assert found.test.tolist() == [[1, 2, 3, 3], [5, 6, 7, 8]]
    with pytest.raises(FileNotFoundError, match=r"there is no Other_TRAIN\.ts"):
        load_series_set(tmp_path, "Other")


def test_sets_in_packages_are_those_with_both_halves(tmp_path, monkeypatch):
    data = tmp_path / "aeon" / "datasets" / "data"
    for name in ("Whole_TRAIN", "Whole_TEST", "Half_TRAIN"):
        path = data / name.split("_")[0] / f"{name}.ts"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "aeon" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged_sets()["Whole"] == data / "Whole"
    assert "Half" not in packaged_sets()


def test_codes_of_digits_classify_far_above_chance():
    data = digit_rows(200)
    test, truth = data.test[:200], data.truth[:200]
    waves = np.sin(2 * np.pi * np.arange(200) / 16 + np.arange(6.0)[:, None])
    model, losses = train_autoencoder(waves, jr.key(0), window=64, windows=64, epochs=40, batch=16)
    assert losses[-1] < losses[0]
    accuracy = ridge_accuracy(code_features(model, data.train), data.labels, code_features(model, test), truth)
    assert accuracy > 0.5  # chance is 0.1
