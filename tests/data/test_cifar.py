"""CIFAR-10's binary files, written here in their format; pickles are never opened."""

import pickle

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.cifar import cifar10, read_cifar


def write_batch(path, numbers):
    """Images of class `number % 10` whose red is the number, green the row and blue the column."""
    rows, columns = np.mgrid[:32, :32].astype(np.uint8)
    with path.open("wb") as file:
        for number in numbers:
            file.write(bytes([number % 10]) + np.stack([np.full_like(rows, number), rows, columns]).tobytes())


@pytest.fixture
def folder(tmp_path):
    for i in range(5):
        write_batch(tmp_path / f"data_batch_{i + 1}.bin", range(4 * i, 4 * i + 4))
    write_batch(tmp_path / "test_batch.bin", range(100, 103))
    return tmp_path


def test_pixels_have_rows_columns_and_colours(folder):
    pixels, classes = read_cifar(folder / "data_batch_3.bin")
    assert pixels.shape == (4, 32, 32, 3)
    assert classes.tolist() == [8, 9, 0, 1]
    np.testing.assert_array_equal(pixels[2, 5, 17], [10, 5, 17])


@pytest.mark.parametrize("inner", [False, True])
def test_parts_stay_apart_and_images_keep_their_labels(folder, tmp_path_factory, inner):
    if inner:
        above = tmp_path_factory.mktemp("above")
        folder.rename(above / "cifar-10-batches-bin")
        folder = above
    split = cifar10(jr.key(0), num_train=20, num_test=2, folder=folder)
    assert split.train_inputs.dtype == jnp.float32
    assert split.train_targets.dtype == jnp.int32
    images = np.round(np.asarray(split.train_inputs).reshape(-1, 32, 32, 3) * 255)
    assert sorted(images[:, 0, 0, 0]) == list(range(20))
    np.testing.assert_array_equal(images[:, 3, 3, 0] % 10, split.train_targets)
    np.testing.assert_array_equal(images[0, 4, 9, 1:], [4, 9])
    held = np.round(np.asarray(split.test_inputs).reshape(-1, 32, 32, 3) * 255)
    assert held.shape[0] == 2
    assert held[..., 0].min() >= 100


def test_sizes_are_checked(folder):
    with pytest.raises(ValueError, match="`num_train` must be from 1 to 20"):
        cifar10(jr.key(0), 21, 3, folder=folder)


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes([10]) + bytes(3072)])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"must hold whole images|not CIFAR-10"):
        read_cifar(tmp_path / "batch.bin")


def test_a_missing_file_is_named_with_its_source(folder):
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"No data_batch_4.bin in .*cifar-10-binary.tar.gz"):
        cifar10(jr.key(0), folder=folder)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-batches-py/data_batch_1"])
def test_the_python_version_is_recognised_and_not_unpickled(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FileNotFoundError, match=r"Python version of CIFAR-10.*cifar-10-binary.tar.gz") as caught:
        cifar10(jr.key(0), folder=tmp_path)
    assert "\n" not in str(caught.value)
