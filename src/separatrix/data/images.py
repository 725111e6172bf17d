"""Small images: handwritten digits that come with scikit-learn; MNIST and Fashion-MNIST read from local files."""

import gzip
import struct
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from separatrix.data.split import Split, random_split

__all__ = ["digits", "fashion_mnist", "mnist", "read_idx"]

_DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FASHION_ADVICE = (
    "Install the Debian package `dataset-fashion-mnist`, or put the four files of "
    "https://github.com/zalandoresearch/fashion-mnist in a folder and pass it as `folder`."
)
_MNIST_ADVICE = (
    "Put the four files of MNIST (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two t10k files, "
    "from http://yann.lecun.com/exdb/mnist or a mirror) in a folder and pass it as `folder`."
)


def digits(key: PRNGKeyArray, num_train: int = 1000, num_test: int | None = None) -> Split:
    """The 1797 handwritten digits of scikit-learn, 8 x 8 pixels.

    Args:
        key: drives the choice of examples; may be traced, so that seeds can be batched.
        num_train: number of training examples.
        num_test: number of test examples; by default all that are left.

    Returns:
        The split, with float32 inputs of shape `(n, 64)` in [0, 1] (pixels / 16), int32 targets and ten classes.

    Raises:
        ValueError: if the sizes do not fit the number of examples.

    References:
        Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.

    Example:
        >>> split = digits(jr.key(0), num_train=200)
        >>> split.train_inputs.shape, split.test_inputs.shape, float(split.train_inputs.max())
        ((200, 64), (1597, 64), 1.0)
    """
    from sklearn.datasets import load_digits  # takes a second to import

    pixels, classes = (np.asarray(x) for x in load_digits(return_X_y=True))
    return random_split(key, (pixels / 16).astype(np.float32), classes.astype(np.int32), 10, num_train, num_test)


def fashion_mnist(
    key: PRNGKeyArray, num_train: int = 60_000, num_test: int = 10_000, folder: str | Path | None = None
) -> Split:
    """Images of clothing, 28 x 28 pixels, from the four files in which Fashion-MNIST is distributed.

    Args:
        key: drives the choice of examples within the official training and test parts.
        num_train: number of training examples, at most 60000.
        num_test: number of test examples, at most 10000.
        folder: where the files are, e.g. `train-images-idx3-ubyte.gz`, compressed or not. By default the folder of
            Debian's package `dataset-fashion-mnist`.

    Returns:
        The split, with float32 inputs of shape `(n, 784)` in [0, 1] (pixels / 255), int32 targets and ten classes.

    Raises:
        FileNotFoundError: if a file is missing; it says what to install.
        ValueError: if the sizes do not fit the number of examples, or a file is damaged.

    References:
        Xiao, Rasul, Vollgraf (2017), arXiv 1708.07747.

    Example:
        >>> fashion_mnist(jr.key(0), folder="nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: No train-images-idx3-ubyte(.gz) in nowhere. Install the Debian package ...
    """
    return _idx_split(key, num_train, num_test, _DEBIAN_FOLDER if folder is None else Path(folder), _FASHION_ADVICE)


def mnist(key: PRNGKeyArray, num_train: int = 60_000, num_test: int = 10_000, *, folder: str | Path) -> Split:
    """Handwritten digits, 28 x 28 pixels, from the four files in which MNIST is distributed.

    Args:
        key: drives the choice of examples within the official training and test parts.
        num_train: number of training examples, at most 60000.
        num_test: number of test examples, at most 10000.
        folder: where the files are, e.g. `train-images-idx3-ubyte.gz`, compressed or not; a dot in place of the hyphen
            before `idx`, as in some copies, is understood.

    Returns:
        The split, with float32 inputs of shape `(n, 784)` in [0, 1] (pixels / 255), int32 targets and ten classes.

    Raises:
        FileNotFoundError: if a file is missing; it says what to download.
        ValueError: if the sizes do not fit the number of examples, or a file is damaged.

    References:
        LeCun, Bottou, Bengio, Haffner (1998), Proc. IEEE 86, 2278-2324.

    Example:
        >>> mnist(jr.key(0), folder="nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: No train-images-idx3-ubyte(.gz) in nowhere. Put the four files of MNIST ...
    """
    return _idx_split(key, num_train, num_test, Path(folder), _MNIST_ADVICE)


def _idx_split(key: PRNGKeyArray, num_train: int, num_test: int, folder: Path, advice: str) -> Split:
    parts = []
    for name in ("train", "t10k"):
        images = read_idx(_find(folder, f"{name}-images-idx3-ubyte", advice))
        classes = read_idx(_find(folder, f"{name}-labels-idx1-ubyte", advice))
        if len(images) != len(classes):
            raise ValueError(f"The {name} files in {folder} hold {len(images)} images but {len(classes)} labels.")
        parts.append((images.reshape(len(images), -1), classes))
    return choose_from_parts(key, parts, num_train, num_test)


def choose_from_parts(
    key: PRNGKeyArray, parts: list[tuple[np.ndarray, np.ndarray]], num_train: int, num_test: int
) -> Split:
    """Draw examples within an official training and an official test part of ten classes of images.

    Args:
        key: drives the choice.
        parts: pixels of shape `(n, pixels)` and classes of shape `(n,)`, both `uint8`: first to train on, then to test.
        num_train: number of training examples.
        num_test: number of test examples.

    Returns:
        The split, with float32 inputs in [0, 1] (pixels / 255) and int32 targets.

    Raises:
        ValueError: if a part holds fewer examples than are asked for.
    """
    arrays = []
    for index, ((pixels, classes), count) in enumerate(zip(parts, (num_train, num_test), strict=True)):
        if not 1 <= count <= len(pixels):
            raise ValueError(f"`num_{'test' if index else 'train'}` must be from 1 to {len(pixels)}; got {count}.")
        chosen = np.asarray(jr.permutation(jr.fold_in(key, index), len(pixels))[:count])
        scaled = pixels[chosen].astype(np.float32) / np.float32(255)
        arrays += [jnp.asarray(scaled), jnp.asarray(classes[chosen], jnp.int32)]
    return Split(*arrays, num_classes=10)


def _find(folder: Path, name: str, advice: str) -> Path:
    for base in (name, name.replace("-idx", ".idx")):
        for path in (folder / f"{base}.gz", folder / base):
            if path.exists():
                return path
    raise FileNotFoundError(f"No {name}(.gz) in {folder}. {advice}")


def read_idx(path: str | Path) -> np.ndarray:
    """Read an array of bytes in the IDX format, in which MNIST and its relatives are distributed.

    Args:
        path: the file; decompressed if its name ends in `.gz`.

    Returns:
        NumPy array of `uint8`.

    Raises:
        ValueError: if the file is not IDX, holds another type than bytes, or is cut short.

    References:
        LeCun, Cortes, Burges (1998), The MNIST database of handwritten digits, "File formats".

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
        ...     file.flush()
        ...     print(read_idx(file.name))
        [[7 8 9]]
    """
    path = Path(path)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of bytes: it must start with 0, 0, 8; got {list(content[:3])}.")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise ValueError(f"{path} is cut short: its header alone has {header} bytes; got {len(content)}.")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    values = np.frombuffer(content, np.uint8, offset=header)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{path} must hold an array of shape {shape}; got {values.size} bytes.")
    return values.reshape(shape)
