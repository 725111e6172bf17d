"""The Hilbert-Schmidt independence criterion (HSIC), exact and from random Fourier features.

HSIC is the squared norm of the covariance of two variables' kernel features. With a Gaussian kernel it is zero only for
independent variables. Standardise variables, or use `median_bandwidth`, before comparing values over training: with a
fixed bandwidth HSIC moves when the scale does.
"""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Key

__all__ = ["centre_kernel", "gaussian_kernel", "hsic", "hsic_rff", "median_bandwidth", "random_fourier_features"]


def centre_kernel(kernel: Float[Array, "n m"], weights: Float[Array, " n"] | None = None) -> Float[Array, "n m"]:
    """Kernel of the features minus their mean, `H K H` with `H = I - 1 w^T`.

    Args:
        kernel: square kernel of n examples.
        weights: weights of the examples in the mean; uniform by default. They are divided by their sum.

    Returns:
        The centred kernel; weighted sums over rows and columns vanish.

    Example:
        >>> centre_kernel(jnp.eye(2)).tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    w = _normalised(weights, kernel)
    rows, columns = w @ kernel, kernel @ w
    return kernel - rows[None, :] - columns[:, None] + rows @ w


def _normalised(weights: Float[Array, " n"] | None, kernel: Float[Array, "n m"]) -> Float[Array, " n"]:
    if weights is None:
        return jnp.full(kernel.shape[0], 1 / kernel.shape[0], kernel.dtype)
    return (weights / jnp.sum(weights)).astype(kernel.dtype)


def hsic(
    first: Float[Array, "n n"],
    second: Float[Array, "n n"],
    *,
    unbiased: bool = False,
    weights: Float[Array, " n"] | None = None,
) -> Float[Array, ""]:
    """HSIC of two variables from their kernels on the same examples.

    Biased: the V-statistic `tr(K H L H) / n^2` (multiply by `(n / (n - 1))^2` for the normaliser `(n - 1)^2` that is
    also in use); its bias is of order 1/n. Unbiased: the U-statistic of Song et al., which may be negative.

    Args:
        first: kernel of the first variable.
        second: kernel of the second variable.
        unbiased: which estimate.
        weights: importance weights of the examples, for the biased estimate; they are divided by their sum.

    Returns:
        Scalar.

    Raises:
        ValueError: if `unbiased` with weights or with fewer than four examples.

    References:
        Gretton, Bousquet, Smola, Schölkopf (2005), ALT.
        Song, Smola, Gretton, Bedo, Borgwardt (2012), JMLR 13, equation 5.

    Example:
        >>> x = jnp.arange(5.0)
        >>> round(float(hsic(gaussian_kernel(x), gaussian_kernel(x**2))), 6)
        0.12468
    """
    n = first.shape[0]
    if not unbiased:
        w = _normalised(weights, first)
        # centring one kernel is enough in exact arithmetic; both, and nothing large is left to cancel
        return jnp.einsum("i,ij,ij,j->", w, centre_kernel(first, w), centre_kernel(second, w), w)
    if weights is not None:
        raise ValueError("`weights` go with the biased estimate only; leave `unbiased` false.")
    if n < 4:
        raise ValueError(f"the unbiased estimate needs at least 4 examples; got {n}.")
    off = 1 - jnp.eye(n, dtype=first.dtype)
    k, m = first * off, second * off
    rows_k, rows_m = jnp.sum(k, axis=1), jnp.sum(m, axis=1)
    total = jnp.sum(k * m) + jnp.sum(rows_k) * jnp.sum(rows_m) / ((n - 1) * (n - 2)) - 2 * rows_k @ rows_m / (n - 2)
    return total / (n * (n - 3))


def _squared_distances(x: Float[Array, "n *shape"]) -> Float[Array, "n n"]:
    x = x.reshape(len(x), -1)
    return jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)


def gaussian_kernel(x: Float[Array, "n *shape"], bandwidth: ArrayLike = 1.0) -> Float[Array, "n n"]:
    """Gaussian kernel `exp(-|x - x'|^2 / (2 bandwidth^2))`.

    Args:
        x: n examples.
        bandwidth: its width, positive.

    Returns:
        The kernel, with ones on the diagonal.

    Example:
        >>> gaussian_kernel(jnp.array([0.0, 2.0]))[0].tolist()
        [1.0, 0.1353352...]
    """
    return jnp.exp(-_squared_distances(x) / (2 * jnp.asarray(bandwidth) ** 2))


def median_bandwidth(x: Float[Array, "n *shape"]) -> Float[Array, ""]:
    """Median distance between different examples, the usual width of a Gaussian kernel.

    Args:
        x: n >= 2 examples.

    Returns:
        Scalar; 0 if at least half of the pairs coincide.

    Example:
        >>> float(median_bandwidth(jnp.array([0.0, 1.0, 3.0])))
        2.0
    """
    rows, columns = jnp.triu_indices(len(x), 1)
    return jnp.sqrt(jnp.median(_squared_distances(x)[rows, columns]))


def random_fourier_features(
    key: Key[Array, ""], x: Float[Array, "n *shape"], num_features: int, bandwidth: ArrayLike = 1.0
) -> Float[Array, "n features"]:
    """Features z with `z(x) . z(x')` close to the Gaussian kernel: `sqrt(2 / F) cos(w . x / bandwidth + b)`.

    Args:
        key: draws the frequencies (standard normal) and the phases (uniform on the circle).
        x: n examples.
        num_features: F; the error of the kernel is of order `F^(-1/2)`.
        bandwidth: of the kernel.

    Returns:
        Array `(n, num_features)` in the dtype of x.

    References:
        Rahimi, Recht (2007), NeurIPS.

    Example:
        >>> x = jnp.array([[0.0], [1.0]])
        >>> z = random_fourier_features(jr.key(0), x, 20_000)
        >>> bool(jnp.allclose(z @ z.T, gaussian_kernel(x), atol=0.02))
        True
    """
    x = x.reshape(len(x), -1)
    frequencies = jr.normal(jr.fold_in(key, 0), (x.shape[1], num_features), x.dtype)
    phases = jr.uniform(jr.fold_in(key, 1), (num_features,), x.dtype, maxval=2 * jnp.pi)
    return jnp.sqrt(2 / num_features).astype(x.dtype) * jnp.cos(x @ frequencies / bandwidth + phases)


def hsic_rff(
    first: Float[Array, "n p"], second: Float[Array, "n q"], weights: Float[Array, " n"] | None = None
) -> Float[Array, ""]:
    """HSIC from features: the squared Frobenius norm of their covariance, in time linear in n.

    With features of a kernel (`random_fourier_features`) it estimates the biased `hsic` of that kernel; with plain
    features it is, exactly, `hsic` of their linear kernels. Draw the two variables' features with different keys.

    Args:
        first: features of the first variable.
        second: features of the second variable.
        weights: importance weights of the examples, divided by their sum; gradients with respect to them decorrelate.

    Returns:
        Scalar >= 0.

    References:
        Zhang, Cui, Xu, Zhou, He, Shen (2021), CVPR, arXiv 2104.07876 (StableNet).

    Example:
        >>> x, y = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([[1.0], [3.0], [2.0]])
        >>> round(float(hsic_rff(x, y)), 5), round(float(hsic(x @ x.T, y @ y.T)), 5)
        (0.11111, 0.11111)
    """
    w = _normalised(weights, first)
    covariance = (w[:, None] * first).T @ (second - w @ second)
    return jnp.sum(covariance**2)
