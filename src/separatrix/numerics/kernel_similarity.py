"""How alike two kernels, or a kernel and labels, are: cosines of kernels as vectors, centred or not."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from separatrix.numerics.independence import centre_kernel, hsic

__all__ = ["centered_kernel_alignment", "kernel_alignment", "kernel_cosine"]


def kernel_cosine(first: Float[Array, "n *rest"], second: Float[Array, "n *rest"]) -> Float[Array, ""]:
    """Cosine between two kernels as vectors, `<K_1, K_2> / (|K_1| |K_2|)`, not centred.

    Args:
        first: a kernel of n examples, of any number of axes.
        second: another of the same shape.

    Returns:
        Scalar in [-1, 1], in [0, 1] for positive semi-definite kernels; NaN if one is zero.

    References:
        Cristianini, Shawe-Taylor, Elisseeff, Kandola (2001), NeurIPS: kernel-target alignment.

    Example:
        >>> float(kernel_cosine(jnp.eye(4), jnp.ones((4, 4))))
        0.5
    """
    first, second = first / jnp.max(jnp.abs(first)), second / jnp.max(jnp.abs(second))  # squares must not overflow
    return jnp.sum(first * second) / jnp.sqrt(jnp.sum(first**2) * jnp.sum(second**2))


def kernel_alignment(
    kernel: Float[Array, "n n"], labels: Float[Array, "n *outputs"], centred: bool = False
) -> Float[Array, ""]:
    """Alignment of a kernel with labels, `<K, Y Y^T> / (|K| |Y Y^T|)`; for one output `y^T K y / (|y|^2 |K|)`.

    Args:
        kernel: symmetric kernel of n examples.
        labels: targets of the examples, one or several outputs each.
        centred: take the means out of kernel and labels first.

    Returns:
        Scalar in [0, 1] for a positive semi-definite kernel; 1 if the kernel is a multiple of `Y Y^T`.

    References:
        Cristianini, Shawe-Taylor, Elisseeff, Kandola (2001), NeurIPS.
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> y = jnp.array([1.0, -1.0])
        >>> float(kernel_alignment(jnp.outer(y, y), y)), round(float(kernel_alignment(jnp.eye(2), y)), 4)
        (1.0, 0.7071)
    """
    labels = labels.reshape(len(labels), -1)
    target = labels @ labels.T
    return kernel_cosine(centre_kernel(kernel) if centred else kernel, centre_kernel(target) if centred else target)


def centered_kernel_alignment(
    first: Float[Array, "n n"], second: Float[Array, "n n"], unbiased: bool = False
) -> Float[Array, ""]:
    """Centred kernel alignment (CKA): the cosine of two centred kernels, `HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`.

    With kernels `Z Z^T` of features it is invariant to rotations, to a common factor and to shifts of the features.

    Args:
        first: symmetric kernel of n examples.
        second: another.
        unbiased: use unbiased estimates of HSIC (n >= 4), whose mean is zero for independent features where the
            biased one grows with their number; the result may then be negative.

    Returns:
        Scalar, in [0, 1] for positive semi-definite kernels unless unbiased.

    Raises:
        ValueError: if `unbiased` with fewer than four examples.

    References:
        Cortes, Mohri, Rostamizadeh (2012), JMLR 13; Kornblith, Norouzi, Lee, Hinton (2019), ICML, arXiv 1905.00414.

    Example:
        >>> x = jnp.array([[0.0], [1.0], [3.0]])
        >>> round(float(centered_kernel_alignment(x @ x.T, (2 * x + 5) @ (2 * x + 5).T)), 4)
        1.0
    """
    first, second = first / jnp.max(jnp.abs(first)), second / jnp.max(jnp.abs(second))
    own = hsic(first, first, unbiased=unbiased) * hsic(second, second, unbiased=unbiased)
    return hsic(first, second, unbiased=unbiased) / jnp.sqrt(own)
