"""CIFAR-10 from a user's folder, in the binary version: the Python version holds pickles, which can run code."""

from pathlib import Path

import numpy as np
from jaxtyping import PRNGKeyArray

from separatrix.data.images import choose_from_parts
from separatrix.data.split import Split

__all__ = ["cifar10", "read_cifar"]

_SIDE, _COLOURS, _CLASSES = 32, 3, 10
_RECORD = 1 + _COLOURS * _SIDE * _SIDE
_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_SOURCE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def cifar10(key: PRNGKeyArray, num_train: int = 50_000, num_test: int = 10_000, *, folder: str | Path) -> Split:
    """Colour images of ten kinds of things, 32 x 32 pixels, from the binary version of CIFAR-10.

    Args:
        key: drives the choice of examples within the official training and test parts.
        num_train: number of training examples, at most 50000.
        num_test: number of test examples, at most 10000.
        folder: where `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` are, or the folder above their
            `cifar-10-batches-bin`.

    Returns:
        The split, with float32 inputs of shape `(n, 3072)` in [0, 1] (pixels / 255), int32 targets and ten classes.
        `inputs.reshape(-1, 32, 32, 3)` gives rows, columns and the colours red, green, blue.

    Raises:
        FileNotFoundError: if a file is missing; it says what to download, also where the Python version is found.
        ValueError: if the sizes do not fit the number of examples, or a file is damaged.

    References:
        Krizhevsky (2009), Learning multiple layers of features from tiny images, University of Toronto.

    Example:
        >>> import jax.random as jr
        >>> cifar10(jr.key(0), folder="nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: No data_batch_1.bin in nowhere. Download ...
    """
    folder = Path(folder)
    inner = folder / "cifar-10-batches-bin"
    where = inner if inner.is_dir() and not (folder / _TRAIN[0]).exists() else folder
    for name in (*_TRAIN, "test_batch.bin"):
        if not (where / name).exists():
            raise FileNotFoundError(_what_to_do(folder, where, name))
    train = [read_cifar(where / name) for name in _TRAIN]
    joined = tuple(np.concatenate(arrays) for arrays in zip(*train, strict=True))
    parts = [
        (pixels.reshape(len(pixels), -1), classes) for pixels, classes in (joined, read_cifar(where / "test_batch.bin"))
    ]
    return choose_from_parts(key, parts, num_train, num_test)


def _what_to_do(folder: Path, where: Path, name: str) -> str:
    python = [folder / "data_batch_1", folder / "cifar-10-batches-py", folder / "cifar-10-python.tar.gz"]
    found = next((path for path in python if path.exists()), None)
    advice = f"Download {_SOURCE} (the binary version), unpack it, and pass its folder as `folder`."
    if found is None:
        return f"No {name} in {where}. {advice}"
    return f"{found} is the Python version of CIFAR-10, pickles that could run code and are not read. {advice}"


def read_cifar(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of the binary version of CIFAR-10: a byte for the class and 3072 for the colours, image by image.

    Args:
        path: the file.

    Returns:
        Pixels of shape `(n, 32, 32, 3)`, colours last, and classes of shape `(n,)`, both `uint8`.

    Raises:
        ValueError: if the file is not a whole number of images, or holds a class above 9.

    References:
        https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(bytes([7]) + bytes([255] * 1024) + bytes(2048))  # a red image
        ...     file.flush()
        ...     pixels, classes = read_cifar(file.name)
        >>> pixels.shape, pixels[0, 0, 0].tolist(), classes.tolist()
        ((1, 32, 32, 3), [255, 0, 0], [7])
    """
    content = np.fromfile(path, np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise ValueError(
            f"{path} must hold whole images of {_RECORD} bytes; got {content.size} bytes. Unpack it again."
        )
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() >= _CLASSES:
        raise ValueError(f"{path} is not CIFAR-10: classes must be below {_CLASSES}; got {records[:, 0].max()}.")
    planes = records[:, 1:].reshape(-1, _COLOURS, _SIDE, _SIDE)
    return planes.transpose(0, 2, 3, 1), records[:, 0]
