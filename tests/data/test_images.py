"""Image loaders, on scikit-learn's digits and on small files written here."""

import gzip
import struct

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.images import digits, fashion_mnist, mnist, read_idx


def write_idx(path, values):
    content = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def folder(tmp_path):
    """Twelve training and five test images of 2 x 2 pixels, each filled with the number of the image."""
    for name, count in (("train", 12), ("t10k", 5)):
        numbers = np.arange(count, dtype=np.uint8)
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", np.tile(numbers[:, None, None], (1, 2, 2)))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", numbers % 10)
    return tmp_path


def test_digits_are_all_used_once(x64):
    split = digits(jr.key(0), num_train=797)
    assert split.train_inputs.shape == (797, 64)
    assert split.test_inputs.shape == (1000, 64)
    assert split.train_inputs.dtype == jnp.float32
    assert split.train_targets.dtype == jnp.int32
    counts = np.bincount(np.concatenate([split.train_targets, split.test_targets]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    pixels = np.concatenate([split.train_inputs, split.test_inputs])
    assert pixels.min() == 0
    assert pixels.max() == 1
    np.testing.assert_array_equal(pixels * 16, np.round(pixels * 16))
    assert len(np.unique(pixels, axis=0)) == 1797


def test_digits_can_be_drawn_for_many_seeds():
    batch = jax.jit(jax.vmap(lambda k: digits(k, 20, 10)))(jr.split(jr.key(0), 3))
    assert batch.train_inputs.shape == (3, 20, 64)
    single = digits(jr.split(jr.key(0), 3)[1], 20, 10)
    np.testing.assert_array_equal(batch.train_inputs[1], single.train_inputs)


def test_too_many_digits_are_refused():
    with pytest.raises(ValueError, match="1797"):
        digits(jr.key(0), num_train=1797)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_idx_files_are_read_back(tmp_path, suffix, shape):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_idx(tmp_path / f"values{suffix}", values)
    np.testing.assert_array_equal(read_idx(tmp_path / f"values{suffix}"), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), "not an IDX file"),
        (bytes([0, 0, 8, 2, 0, 0, 0, 1]), "cut short"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2]), "must hold"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, content, message):
    path = tmp_path / "values"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_fashion_mnist_keeps_images_with_labels_and_the_official_parts_apart(folder):
    split = fashion_mnist(jr.key(0), num_train=12, num_test=3, folder=folder)
    assert split.train_inputs.shape == (12, 4)
    assert split.test_inputs.shape == (3, 4)
    numbers = np.round(np.asarray(split.train_inputs) * 255)
    np.testing.assert_array_equal(numbers % 10, np.tile(np.asarray(split.train_targets)[:, None], (1, 4)))
    assert sorted(numbers[:, 0]) == list(range(12))
    assert np.round(np.asarray(split.test_inputs) * 255).max() < 5
    assert split.train_inputs.dtype == jnp.float32
    assert split.train_targets.dtype == jnp.int32


def test_fashion_mnist_says_what_is_wrong(folder, tmp_path):
    with pytest.raises(ValueError, match="`num_test` must be from 1 to 5"):
        fashion_mnist(jr.key(0), num_train=3, num_test=6, folder=folder)
    with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
        fashion_mnist(jr.key(0), folder=tmp_path / "missing")
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="12 images but 3 labels"):
        fashion_mnist(jr.key(0), num_train=2, num_test=2, folder=folder)


def test_mnist_reads_the_same_format_from_the_users_folder(folder):
    ours = mnist(jr.key(3), num_train=7, num_test=5, folder=folder)
    theirs = fashion_mnist(jr.key(3), num_train=7, num_test=5, folder=folder)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    (folder / "train-labels-idx1-ubyte").rename(folder / "train-labels.idx1-ubyte")  # so named in some copies
    jax.tree.map(np.testing.assert_array_equal, mnist(jr.key(3), 7, 5, folder=folder), ours)


def test_mnist_says_what_to_download(tmp_path):
    with pytest.raises(FileNotFoundError, match="four files of MNIST") as caught:
        mnist(jr.key(0), folder=tmp_path)
    assert "\n" not in str(caught.value)
