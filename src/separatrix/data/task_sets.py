"""Task sets made from one data set: new classes, new domains, rotations, permutations; and Gaussian tasks."""

from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from separatrix.data.split import Split
from separatrix.data.task_streams import TaskSet, stack_tasks

__all__ = [
    "class_incremental",
    "domain_incremental",
    "gaussian_tasks",
    "permuted",
    "rotate_images",
    "rotated",
    "task_incremental",
]


def class_incremental(split: Split, classes_per_task: int = 2, order: Sequence[int] | None = None) -> TaskSet:
    """Divide a data set by class: each task brings new classes of one common head.

    Args:
        split: the data.
        classes_per_task: divides the number of classes.
        order: of the classes; increasing by default.

    Returns:
        Tasks with the labels of the data set.

    Raises:
        ValueError: if the classes cannot be divided evenly, or `order` is no permutation of them.

    Examples:
        >>> from separatrix.data import digits
        >>> tasks = class_incremental(digits(jr.key(0), 1257))
        >>> tasks.num_tasks, tasks.names[1], sorted(set(tasks.train_targets[1].tolist()))
        (5, 'classes 2, 3', [2, 3])
    """
    return _by_class(split, classes_per_task, order, local=False)


def task_incremental(split: Split, classes_per_task: int = 2, order: Sequence[int] | None = None) -> TaskSet:
    """Divide a data set by class, with labels counted within each task: for a head of its own (`MultiHead`).

    Args:
        split: the data.
        classes_per_task: divides the number of classes.
        order: of the classes; increasing by default.

    Returns:
        Tasks with labels in `0..classes_per_task-1`.

    Raises:
        ValueError: as `class_incremental`.

    Examples:
        >>> from separatrix.data import digits
        >>> tasks = task_incremental(digits(jr.key(0), 1257))
        >>> tasks.num_classes, sorted(set(tasks.train_targets[4].tolist()))
        (2, [0, 1])
    """
    return _by_class(split, classes_per_task, order, local=True)


def _by_class(split: Split, size: int, order: Sequence[int] | None, local: bool) -> TaskSet:
    classes = list(range(split.num_classes)) if order is None else [int(c) for c in order]
    if sorted(classes) != list(range(split.num_classes)):
        raise ValueError(f"`order` must be a permutation of 0..{split.num_classes - 1}; got {order}.")
    if size < 1 or split.num_classes % size:
        raise ValueError(f"`classes_per_task` must divide {split.num_classes}, the number of classes; got {size}.")
    groups = [classes[i : i + size] for i in range(0, len(classes), size)]
    parts = []
    for inputs, targets in ((split.train_inputs, split.train_targets), (split.test_inputs, split.test_targets)):
        inputs, targets = np.asarray(inputs), np.asarray(targets)
        pairs = []
        for group in groups:
            rows = np.flatnonzero(np.isin(targets, group))
            labels = targets[rows]
            pairs.append(
                (inputs[rows], np.argmax(labels[:, None] == group, axis=1).astype(np.int32) if local else labels)
            )
        parts.append(pairs)
    names = [f"classes {', '.join(map(str, group))}" for group in groups]
    return stack_tasks(parts[0], parts[1], size if local else split.num_classes, names)


def domain_incremental(splits: Sequence[Split], names: Sequence[str] | None = None) -> TaskSet:
    """Take several data sets with the same classes as tasks.

    Args:
        splits: one for each domain, with inputs of one shape.
        names: of the domains.

    Returns:
        Tasks of one common head.

    Raises:
        ValueError: if there is none, or they differ in their classes or the shape of an input.
    """
    found = {(s.num_classes, s.train_inputs.shape[1:]) for s in splits}
    if len(found) != 1:
        raise ValueError(f"domains must share classes and the shape of an input; got {sorted(found) or 'no domain'}.")
    train = [(s.train_inputs, s.train_targets) for s in splits]
    test = [(s.test_inputs, s.test_targets) for s in splits]
    return stack_tasks(train, test, splits[0].num_classes, names)


def rotate_images(images: ArrayLike, degrees: float, side: int | None = None) -> Float[np.ndarray, "n pixels"]:
    """Rotate flattened square images about their centre, linearly interpolated, with zeros beyond the rim.

    Args:
        images: shape `(n, side * side)`.
        degrees: counter-clockwise.
        side: of an image in pixels; the root of the number of pixels by default.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: if the images are not square.

    Examples:
        >>> rotate_images(np.array([[1.0, 2.0, 3.0, 4.0]]), 90.0).round(6).tolist()
        [[2.0, 4.0, 1.0, 3.0]]
    """
    from scipy.ndimage import map_coordinates

    flat = np.asarray(images)
    side = round(flat.shape[-1] ** 0.5) if side is None else side
    if flat.ndim != 2 or side * side != flat.shape[1]:
        raise ValueError(f"`images` must have shape (n, side * side); got {flat.shape} and side {side}.")
    angle, centre = np.deg2rad(degrees), (side - 1) / 2
    row, column = np.mgrid[:side, :side] - centre
    sources = [np.cos(angle) * row + np.sin(angle) * column, -np.sin(angle) * row + np.cos(angle) * column]
    at = np.stack([s.round(9) + centre for s in sources])
    turned = [map_coordinates(image.reshape(side, side), at, order=1, mode="constant") for image in flat]
    return np.stack(turned).reshape(flat.shape).astype(flat.dtype)


def rotated(split: Split, angles: Sequence[float]) -> TaskSet:
    """Make one domain for each angle by rotating all images.

    Args:
        split: flattened square images.
        angles: in degrees, counter-clockwise.

    Returns:
        Tasks of one common head; all have the same images and labels.

    Raises:
        ValueError: if the images are not square.
    """
    turn = lambda images, angle: images if angle == 0 else rotate_images(images, angle)  # noqa: E731
    splits = [
        Split(
            jnp.asarray(turn(split.train_inputs, angle)),
            split.train_targets,
            jnp.asarray(turn(split.test_inputs, angle)),
            split.test_targets,
            split.num_classes,
        )
        for angle in angles
    ]
    return domain_incremental(splits, [f"{angle:g} degrees" for angle in angles])


def permuted(key: PRNGKeyArray, split: Split, num_tasks: int, *, first_plain: bool = True) -> TaskSet:
    """Make domains by a fixed random permutation of the input's entries for each task.

    Args:
        key: drives the permutations; task i uses `fold_in(key, i)`.
        split: flattened inputs.
        num_tasks: number of tasks.
        first_plain: leave the first task as it is.

    Returns:
        Tasks of one common head.

    Raises:
        ValueError: if there is no task.
    """
    orders: list[Array] = []
    for task in range(num_tasks):
        size = split.train_inputs.shape[-1]
        plain = first_plain and task == 0
        orders.append(jnp.arange(size) if plain else jr.permutation(jr.fold_in(key, task), size))
    splits = [
        Split(
            split.train_inputs[..., order],
            split.train_targets,
            split.test_inputs[..., order],
            split.test_targets,
            split.num_classes,
        )
        for order in orders
    ]
    return domain_incremental(splits, [f"permutation {task}" for task in range(num_tasks)])


def gaussian_tasks(
    key: PRNGKeyArray,
    num_tasks: int,
    *,
    num_classes: int = 2,
    dim: int = 2,
    spread: float = 0.3,
    shift: float = 1.0,
    num_train: int = 200,
    num_test: int = 200,
) -> TaskSet:
    """Classes that are isotropic Gaussian clouds, whose centres jump between tasks.

    The centre of class c in task t is `m_c + shift * d_tc` with `m_c` and `d_tc` standard normal, so `shift` sets how
    unlike the tasks are, from 0 (the same task again).

    Args:
        key: drives centres and examples.
        num_tasks: number of tasks.
        num_classes: number of classes, the same in each task.
        dim: of the inputs.
        spread: standard deviation of a cloud.
        shift: scale of the jumps.
        num_train: training examples of a task.
        num_test: test examples of a task.

    Returns:
        Tasks of one common head.

    Raises:
        ValueError: if there is no task.

    Examples:
        >>> tasks = gaussian_tasks(jr.key(0), 3, dim=4)
        >>> tasks.train_inputs.shape, tasks.num_classes
        ((3, 200, 4), 2)
    """
    base = jr.normal(jr.fold_in(key, 0), (num_classes, dim))
    splits = []
    for task in range(num_tasks):
        own = jr.fold_in(jr.fold_in(key, 1), task)
        centres = base + shift * jr.normal(jr.fold_in(own, 0), (num_classes, dim))
        total = num_train + num_test
        labels = jr.randint(jr.fold_in(own, 1), (total,), 0, num_classes)
        inputs = centres[labels] + spread * jr.normal(jr.fold_in(own, 2), (total, dim))
        parts = (inputs[:num_train], labels[:num_train], inputs[num_train:], labels[num_train:])
        splits.append(Split(*parts, num_classes))
    return domain_incremental(splits)
