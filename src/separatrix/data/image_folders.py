"""Larger image sets from a user's folder, read without unpickling anything: CIFAR-100, and classes as subfolders."""

from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from separatrix.data.split import Split

__all__ = ["cifar100", "image_folder"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")


def cifar100(folder: str | Path, *, coarse: bool = False) -> Split:
    """CIFAR-100 from its binary version, the files `train.bin` and `test.bin`.

    Args:
        folder: where the two files are (or their folder `cifar-100-binary`).
        coarse: labels of the 20 superclasses in place of the 100 classes.

    Returns:
        The official split, with float32 inputs of shape `(n, 3072)` in [0, 1], channel by channel, and int32 targets.

    Raises:
        FileNotFoundError: if a file is missing; it says where to get it.
        ValueError: if a file is damaged.

    References:
        Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.

    Example:
        >>> cifar100("nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: No train.bin in nowhere. Unpack cifar-100-binary.tar.gz ...
    """
    folder = Path(folder)
    if (folder / "cifar-100-binary").is_dir():
        folder = folder / "cifar-100-binary"
    parts = []
    for name in ("train.bin", "test.bin"):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"No {name} in {folder}. Unpack cifar-100-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html "
                "there (the binary version, which needs no unpickling)."
            )
        content = np.fromfile(path, np.uint8)
        if content.size == 0 or content.size % 3074:
            raise ValueError(f"{path} must hold records of 3074 bytes; it has {content.size} bytes.")
        records = content.reshape(-1, 3074)
        labels = records[:, 0 if coarse else 1].astype(np.int32)
        if labels.max() >= (20 if coarse else 100):
            raise ValueError(f"{path} is damaged: it holds the label {labels.max()}.")
        parts += [jnp.asarray(records[:, 2:].astype(np.float32) / np.float32(255)), jnp.asarray(labels)]
    return Split(*parts, num_classes=20 if coarse else 100)


def image_folder(
    key: PRNGKeyArray, folder: str | Path, side: int = 84, test_fraction: float = 1 / 6, classes: int | None = None
) -> Split:
    """Images in one subfolder for each class, such as mini-ImageNet's 100 classes of 600 images.

    Args:
        key: drives which images of a class are held out.
        folder: whose subfolders, in the order of their names, are the classes; PNG, JPEG or BMP.
        side: images are scaled to `side x side` pixels.
        test_fraction: of each class that is held out.
        classes: use the first so many classes; all when None.

    Returns:
        The split, with float32 inputs of shape `(n, 3 * side * side)` in [0, 1], channel by channel, and int32 targets.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in a class.
        ValueError: if a fraction leaves no image on one side, or there are fewer classes than asked for.

    References:
        Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra (2016), NeurIPS (mini-ImageNet).
    """
    from PIL import Image

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give one with a subfolder of images for each class.")
    names = sorted(p for p in folder.iterdir() if p.is_dir())
    if not names or (classes is not None and classes > len(names)):
        raise ValueError(f"{folder} has {len(names)} subfolders; {classes or 'at least 1'} classes were asked for.")
    parts: list[list[np.ndarray]] = [[], [], [], []]
    chosen = names[:classes]
    for label, name in enumerate(chosen):
        files = sorted(p for p in name.iterdir() if p.suffix.lower() in ENDINGS)
        held = round(test_fraction * len(files))
        if not files:
            raise FileNotFoundError(f"no image ({', '.join(ENDINGS)}) in {name}.")
        if not 0 < held < len(files):
            raise ValueError(f"`test_fraction` {test_fraction} of {len(files)} images in {name} leaves one side empty.")
        images = []
        for path in files:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB").resize((side, side)), np.float32) / np.float32(255)
            images.append(pixels.transpose(2, 0, 1).reshape(-1))
        order = np.asarray(jr.permutation(jr.fold_in(key, label), len(files)))
        stacked = np.stack(images)
        for where, rows in ((0, order[held:]), (2, order[:held])):
            parts[where].append(stacked[rows])
            parts[where + 1].append(np.full(len(rows), label, np.int32))
    arrays = [jnp.asarray(np.concatenate(part)) for part in parts]
    return Split(*arrays, num_classes=len(chosen))
