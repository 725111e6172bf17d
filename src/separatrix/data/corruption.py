"""Wrong labels on purpose: a known part of the training labels is redrawn, so that memorising them can be measured."""

import math
from typing import Any, cast

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

__all__ = ["clean_floor", "corrupt_labels"]


def corrupt_labels(
    key: PRNGKeyArray,
    labels: Int[Array, " n"],
    num_classes: int,
    fraction: float | Float[Array, ""],
    *,
    exclude_true: bool = False,
    among: Bool[Array, " n"] | None = None,
) -> tuple[Int[Array, " n"], Bool[Array, " n"]]:
    """Redraw the labels of a random part of a data set, uniformly over the classes.

    For one key the parts are nested: a larger fraction corrupts the same examples, to the same labels, and some more.
    All of it is traceable, the fraction included, so that a grid of fractions needs no new compilation.

    Args:
        key: drives the choice of examples and their new labels.
        labels: true classes in [0, num_classes).
        num_classes: number of classes, at least 2.
        fraction: of the labels to corrupt, in [0, 1]; `floor(fraction * n)` examples, up to the rounding of `fraction`
            where it is traced.
        exclude_true: draw among the other classes only. Otherwise one in `num_classes` of the corrupted labels is
            right by accident.
        among: which examples may be corrupted, such as those of the training set; all by default. The fraction is
            relative to their number.

    Returns:
        The labels, and a mask of the examples whose labels were redrawn (those right by accident included).

    Raises:
        ValueError: if `num_classes` or a `fraction` that is not traced is out of range.

    Examples:
        >>> true = jnp.arange(10) % 5
        >>> labels, mask = corrupt_labels(jr.key(0), true, 5, 0.4, exclude_true=True)
        >>> int(mask.sum()), bool(jnp.all((labels != true) == mask))
        (4, True)

    References:
        Doshi, Das, He, Gromov (2024), ICLR, arXiv 2310.13061, section 2.
    """
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2; got {num_classes}.")
    if isinstance(fraction, int | float) and not 0 <= fraction <= 1:
        raise ValueError(f"`fraction` must be in [0, 1]; got {fraction}.")
    labels = jnp.asarray(labels)  # in JAX's integers, which NumPy's are wider than
    n = labels.shape[0]
    order = jr.permutation(jr.fold_in(key, 0), n)
    allowed = jnp.ones(n, bool) if among is None else among[order]
    rank = jnp.cumsum(allowed)  # from 1, among the allowed
    chosen = allowed & (rank <= _count(fraction, n if among is None else rank[-1]))
    mask = jnp.zeros(n, bool).at[order].set(chosen)
    draw = jr.randint(jr.fold_in(key, 1), (n,), 0, num_classes - exclude_true, labels.dtype)
    redrawn = (labels + 1 + draw) % num_classes if exclude_true else draw
    return jnp.where(mask, redrawn, labels), mask


def _count(fraction: ArrayLike, n: ArrayLike) -> ArrayLike:
    if isinstance(fraction, int | float) and isinstance(n, int):
        return math.floor(fraction * n + 1e-9)
    product = jnp.asarray(fraction) * n
    # a product that should be whole may fall short of it by the rounding of the fraction
    return cast(ArrayLike, jnp.floor(product * (1 + 4 * jnp.finfo(product.dtype).eps)))


def clean_floor(fraction: Any, num_classes: int, *, exclude_true: bool = False) -> Any:
    """Accuracy on corrupted labels of a model that always gives the true class.

    Args:
        fraction: of the labels that were corrupted, a number or an array.
        num_classes: number of classes.
        exclude_true: as for `corrupt_labels`.

    Returns:
        `1 - fraction + fraction / num_classes`, without the last term if the true class was excluded.

    Examples:
        >>> round(clean_floor(0.35, 97), 4)
        0.6536
    """
    return 1 - fraction if exclude_true else 1 - fraction + fraction / num_classes
