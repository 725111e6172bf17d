"""The notions of linear stability at a minimum, by name.

Each is a function `(jacobian, batch_size, replace) -> learning rate` of its own; this file is the table of them.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from separatrix.training.sgd_stability import mean_square_threshold, mean_square_threshold_by_power
from separatrix.training.stability_bounds import (
    gd_threshold,
    loss_stability_threshold,
    one_step_threshold,
    rayleigh_threshold,
)

__all__ = ["METHODS", "NOTIONS", "Method", "Notion", "Threshold", "is_linearly_stable", "sgd_stability_threshold"]

Threshold = Callable[..., Float[Array, ""]]
"""`(jacobian, batch_size, replace) -> learning rate`."""

Method = Literal["exact", "power", "trace_bound"]
METHODS: dict[str, Threshold] = {
    "exact": mean_square_threshold,
    "power": mean_square_threshold_by_power,
    "trace_bound": rayleigh_threshold,
}
"""Ways to the mean-square threshold of SGD: two that reach it, and an upper bound."""

Notion = Literal["gd", "mean_square", "loss", "wu2018"]
NOTIONS: dict[str, Threshold] = {
    "gd": gd_threshold,
    "mean_square": mean_square_threshold,
    "loss": loss_stability_threshold,
    "wu2018": one_step_threshold,
}
"""What may be stable: gradient descent; SGD in mean square; its loss, at noise alignment 1; each single step."""


def _look_up(table: dict[str, Threshold], name: str, what: str) -> Threshold:
    if name not in table:
        raise ValueError(f"`{what}` must be one of {', '.join(table)}; got {name!r}.")
    return table[name]


def sgd_stability_threshold(
    jacobian: Float[Array, "n *k p"], batch_size: int, replace: bool = False, method: Method = "exact"
) -> Float[Array, ""]:
    """Largest learning rate at which SGD is stable in mean square at the minimum.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.
        method: `"exact"` (`mean_square_threshold`, gradients that span at most 70 dimensions), `"power"`
            (`mean_square_threshold_by_power`) or `"trace_bound"` (`rayleigh_threshold`, an upper bound).

    Returns:
        Scalar.

    Raises:
        ValueError: if the method is unknown, or as the function that it names.

    Example:
        >>> import jax.numpy as jnp
        >>> gradients = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> [round(float(sgd_stability_threshold(gradients, 1, method=m)), 4) for m in METHODS]
        [0.5, 0.5, 0.5882]
    """
    return _look_up(METHODS, method, "method")(jacobian, batch_size, replace)


def is_linearly_stable(
    jacobian: Float[Array, "n *k p"],
    rate: ArrayLike,
    batch_size: int,
    notion: Notion | Threshold = "mean_square",
    *,
    replace: bool = False,
) -> Bool[Array, ""]:
    """Whether a learning rate does not exceed the threshold of a notion of stability.

    `"gd"` and `"mean_square"` are exact for the linearised dynamics; `"loss"` is necessary (true does not mean stable);
    `"wu2018"` is sufficient (false does not mean unstable).

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        rate: learning rate, traced.
        batch_size: examples in a batch; `"gd"` does not read it.
        notion: a name, or a threshold of your own, such as `mean_square_threshold_by_power` for gradients that span
            many dimensions, or `loss_stability_threshold` with a measured alignment.
        replace: whether examples are drawn independently.

    Returns:
        Scalar.

    Raises:
        ValueError: if the notion is unknown, or as the function that it names.

    Example:
        >>> import jax.numpy as jnp
        >>> gradients = jnp.array([[1.0, 0.0], [0.0, 2.0]])  # gradient descent may go to 1, SGD to 0.5
        >>> [bool(is_linearly_stable(gradients, 0.7, 1, notion)) for notion in ("gd", "mean_square", "wu2018")]
        [True, False, False]
    """
    threshold = notion if callable(notion) else _look_up(NOTIONS, notion, "notion")
    return jnp.asarray(rate) <= threshold(jacobian, batch_size, replace)
