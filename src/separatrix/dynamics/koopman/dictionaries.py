"""Dictionaries of observables: equinox modules from states `(samples, dim)` to observables `(samples, size)`.

Any function of a matrix of states is a dictionary too; a module is compiled together with the products it enters.
"""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Num

__all__ = [
    "Coordinates",
    "Fourier",
    "KernelSections",
    "Monomials",
    "Network",
    "Radial",
    "Stacked",
    "delay",
    "fourier",
    "kernel_sections",
    "neural",
    "polynomial",
    "radial_kmeans",
    "rbf",
    "stack",
]


def delay(x: Num[np.ndarray, "times *dim"], n: int, stride: int = 1) -> Num[np.ndarray, "rows size"]:
    """Delay coordinates of a trajectory: row `t` holds `x_t, x_{t + stride}, ...`, `n` of them.

    Args:
        x: trajectory, shape `(times,)` or `(times, dim)`.
        n: number of delays, the present included.
        stride: time steps between them.

    Returns:
        Shape `(times - stride (n - 1), n dim)`; rows in time order, so that consecutive rows are snapshot pairs.

    Raises:
        ValueError: if the trajectory is too short.

    Examples:
        >>> import numpy as np
        >>> delay(np.arange(5), 2, 2).tolist()
        [[0, 2], [1, 3], [2, 4]]
    """
    x = np.asarray(x)
    x = x[:, None] if x.ndim == 1 else x
    rows = len(x) - stride * (n - 1)
    if n < 1 or stride < 1 or rows < 1:
        raise ValueError(f"{n} delays with stride {stride} need {stride * (n - 1) + 1} times; got {len(x)}.")
    return np.concatenate([x[stride * j : stride * j + rows] for j in range(n)], axis=1)


class Coordinates(eqx.Module):
    """The state itself, with a constant in front: dynamic mode decomposition, or delays after `delay`."""

    def __call__(self, x: Float[Array, "samples dim"]) -> Float[Array, "samples size"]:
        """Return `1, x_1, ..., x_dim`."""
        x = jnp.asarray(x)
        return jnp.concatenate([jnp.ones((len(x), 1), x.dtype), x], axis=1)


class Radial(eqx.Module):
    """Functions of the distance to centres.

    Attributes:
        centres: shape `(size, dim)`.
        fn: profile, of the distance over `scale`.
        scale: unit of distance.
    """

    centres: Float[np.ndarray, "size dim"]
    fn: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    scale: Any

    def __call__(self, x: Float[Array, "samples dim"]) -> Float[Array, "samples size"]:
        """Return the profile at the distance to each centre."""
        square = ((x[:, None, :] - jnp.asarray(self.centres)) ** 2).sum(-1)
        return self.fn(jnp.sqrt(square) / self.scale)


def _decay(r: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.exp(-2 * r)


def rbf(
    centers: Float[np.ndarray, "size dim"],
    fn: Callable[[Float[Array, "..."]], Float[Array, "..."]] = _decay,
    scale: float | None = None,
) -> Radial:
    """Radial basis functions at given centres.

    Args:
        centers: shape `(size, dim)`.
        fn: profile; `exp(-2 r)` by default.
        scale: unit of distance; by default the mean distance of the centres from their mean.

    Returns:
        A dictionary.

    Examples:
        >>> import numpy as np
        >>> rbf(np.zeros((1, 2)), scale=1.0)(np.array([[0.0, 0.0]])).tolist()
        [[1.0]]
    """
    centers = np.asarray(centers, float)
    if scale is None:
        scale = float(np.linalg.norm(centers - centers.mean(0), axis=1).mean()) or 1.0
    return Radial(centers, fn, scale)


def radial_kmeans(
    x: Float[np.ndarray, "samples dim"],
    size: int,
    fn: Callable[[Float[Array, "..."]], Float[Array, "..."]] = _decay,
    *,
    seed: int = 0,
    sample: int = 20_000,
) -> Radial:
    """Radial basis functions at the k-means centres of the data; the scale is the mean distance from their mean.

    Args:
        x: states.
        size: number of centres.
        fn: profile; `exp(-2 r)` by default, as for the published Duffing experiments.
        seed: of the clustering.
        sample: states that are clustered, at most.

    Returns:
        A dictionary.

    Raises:
        ValueError: if there are fewer states than centres.

    References:
        Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312, section 5.
    """
    import warnings

    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    x = np.asarray(x, float)
    if not 1 <= size <= len(x):
        raise ValueError(f"`size` must lie in 1..{len(x)}, the number of states; got {size}.")
    rows = x if len(x) <= sample else x[np.random.default_rng(seed).choice(len(x), sample, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct states than centres: pruned later
        clusters = MiniBatchKMeans(size, random_state=seed, n_init=1, batch_size=4_096)  # pyright: ignore[reportArgumentType]
        means = np.asarray(clusters.fit(rows).cluster_centers_, float)
    scale = float(np.linalg.norm(x - x.mean(0), axis=1).mean()) or 1.0
    return Radial(means, fn, scale)


class Fourier(eqx.Module):
    """Characters `exp(2 pi i k.x)` of the torus; states are angles in turns.

    Attributes:
        wave_numbers: shape `(size, dim)`.
    """

    wave_numbers: np.ndarray

    def __call__(self, x: Float[Array, "samples dim"]) -> Complex[Array, "samples size"]:
        """Return the characters."""
        x = jnp.asarray(x)
        return jnp.exp(2j * jnp.pi * (x @ jnp.asarray(self.wave_numbers, x.dtype).T))


def fourier(dim: int, n: int) -> Fourier:
    """All characters of the torus with wave numbers of modulus at most `n` in each direction.

    Args:
        dim: of the torus.
        n: largest wave number.

    Returns:
        A dictionary of `(2 n + 1)^dim` functions.

    Examples:
        >>> fourier(2, 1).wave_numbers.shape
        (9, 2)
    """
    return Fourier(np.array(list(itertools.product(range(-n, n + 1), repeat=dim))))


class Monomials(eqx.Module):
    """Products of powers of the coordinates.

    Attributes:
        powers: exponents, one tuple a function.
    """

    powers: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "samples dim"]) -> Float[Array, "samples size"]:
        """Return the monomials, by repeated multiplication."""
        x = jnp.asarray(x)
        powers = np.array(self.powers)
        table = [jnp.ones_like(x)]
        for _ in range(int(powers.max(initial=0))):
            table.append(table[-1] * x)
        table = jnp.stack(table)  # (powers, samples, dim)
        columns = [table[powers[:, i], :, i] for i in range(powers.shape[1])]
        return jnp.prod(jnp.stack(columns), axis=0).T


def polynomial(dim: int, degree: int) -> Monomials:
    """All monomials up to a total degree, the constant first.

    Args:
        dim: of the state.
        degree: largest total degree.

    Returns:
        A dictionary.

    Examples:
        >>> import numpy as np
        >>> polynomial(2, 2)(np.array([[2.0, 3.0]])).tolist()
        [[1.0, 3.0, 2.0, 9.0, 6.0, 4.0]]
    """
    powers = [p for p in itertools.product(range(degree + 1), repeat=dim) if sum(p) <= degree]
    return Monomials(tuple(sorted(powers, key=lambda p: (sum(p), p))))


class KernelSections(eqx.Module):
    """A kernel with one argument held at each of some points.

    Attributes:
        points: shape `(size, dim)`.
        kernel: `(samples, dim), (size, dim) -> (samples, size)`.
    """

    points: Float[np.ndarray, "size dim"]
    kernel: Callable[[Any, Any], Any]

    def __call__(self, x: Float[Array, "samples dim"]) -> Float[Array, "samples size"]:
        """Return the kernel between states and points."""
        return self.kernel(x, jnp.asarray(self.points))


def kernel_sections(kernel: Callable[[Any, Any], Any], points: Float[np.ndarray, "size dim"]) -> KernelSections:
    """Sections of a kernel, such as those of `gaussian_kernel_of`, as observables.

    Args:
        kernel: `(samples, dim), (size, dim) -> (samples, size)`.
        points: states at which one argument is held.

    Returns:
        A dictionary.
    """
    return KernelSections(np.asarray(points, float), kernel)


class Network(eqx.Module):
    """An equinox network as a dictionary, applied state by state.

    Attributes:
        module: maps one state `(dim,)` to `(size,)`.
    """

    module: Callable[[Float[Array, " dim"]], Num[Array, " size"]]

    def __call__(self, x: Float[Array, "samples dim"]) -> Num[Array, "samples size"]:
        """Return the network's outputs."""
        return jax.vmap(self.module)(x)


def neural(module: Callable[[Float[Array, " dim"]], Num[Array, " size"]]) -> Network:
    """Make a dictionary of a network of one state.

    Args:
        module: maps `(dim,)` to `(size,)`.

    Returns:
        A dictionary.
    """
    return Network(module)


class Stacked(eqx.Module):
    """Several dictionaries side by side.

    Attributes:
        parts: the dictionaries.
    """

    parts: tuple[Any, ...]

    def __call__(self, x: Float[Array, "samples dim"]) -> Num[Array, "samples size"]:
        """Return the observables of each part, in order."""
        return jnp.concatenate([part(x) for part in self.parts], axis=1)


def stack(*parts: Callable[[Any], Any]) -> Stacked:
    """Put dictionaries side by side.

    Args:
        *parts: dictionaries that JAX can trace.

    Returns:
        A dictionary.

    Examples:
        >>> import numpy as np
        >>> stack(Coordinates(), polynomial(1, 1))(np.array([[3.0]])).tolist()
        [[1.0, 3.0, 1.0, 3.0]]
    """
    return Stacked(tuple(parts))
