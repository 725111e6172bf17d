"""CIFAR-100 and folders of images, from files made here."""

import jax.random as jr
import numpy as np
import pytest
from PIL import Image

from separatrix.data import cifar100, image_folder


def records(count, seed):
    rng = np.random.default_rng(seed)
    out = rng.integers(0, 256, (count, 3074)).astype(np.uint8)
    out[:, 0], out[:, 1] = np.arange(count) % 20, np.arange(count) % 100
    return out


def test_binary_records_hold_coarse_label_fine_label_and_pixels(tmp_path):
    train, test = records(7, 0), records(3, 1)
    train.tofile(tmp_path / "train.bin")
    test.tofile(tmp_path / "test.bin")
    split = cifar100(tmp_path)
    assert split.train_targets.tolist() == list(range(7))
    np.testing.assert_allclose(split.test_inputs, test[:, 2:] / 255, atol=1e-6)
    assert cifar100(tmp_path, coarse=True).num_classes == 20


def test_damaged_records_are_refused(tmp_path):
    records(2, 0).tofile(tmp_path / "train.bin")
    (tmp_path / "test.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match="records of 3074 bytes"):
        cifar100(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"cifar-100-binary\.tar\.gz"):
        cifar100(tmp_path / "nowhere")


def test_subfolders_are_classes_and_each_image_is_on_one_side(tmp_path):
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.new("RGB", (5, 5), (label * 100, i * 40, 0)).save(tmp_path / name / f"{i}.png")
    split = image_folder(jr.key(0), tmp_path, side=4)
    assert split.train_inputs.shape == (10, 48)
    assert split.test_targets.tolist() == [0, 1]
    for label in range(2):
        shades = [np.asarray(x)[np.asarray(y) == label][:, 16] for x, y in
                  ((split.train_inputs, split.train_targets), (split.test_inputs, split.test_targets))]  # fmt: skip
        np.testing.assert_allclose(np.sort(np.concatenate(shades)), np.arange(6) * 40 / 255, atol=1e-6)
    with pytest.raises(ValueError, match="2 subfolders"):
        image_folder(jr.key(0), tmp_path, classes=3)
    with pytest.raises(ValueError, match="leaves one side empty"):
        image_folder(jr.key(0), tmp_path, test_fraction=0.01)
