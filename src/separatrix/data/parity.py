"""Parity of a few bits hidden among many."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from separatrix.data.split import Split, num_train_examples, random_split

__all__ = ["sparse_parity"]


def sparse_parity(
    key: PRNGKeyArray, n: int = 43, k: int = 3, num_samples: int = 2000, train_fraction: float = 0.5
) -> Split:
    """Distinct random bit vectors, labelled by the parity of their first k bits.

    Bits are 0 and 1, as in the paper, not -1 and 1, so the target is `sum(inputs[:, :k]) % 2`.

    Args:
        key: drives the sample and the split. The sample is drawn on the host, so the key must be concrete: stack the
            results of several keys instead of `vmap`.
        n: length of the vectors.
        k: number of bits that matter, from 1 to n.
        num_samples: number of vectors in all, at most 2^n.
        train_fraction: fraction to train on, in (0, 1).

    Returns:
        The split, with float32 inputs of shape `(samples, n)`, int32 targets and two classes.

    Raises:
        ValueError: if an argument is out of range.

    References:
        Barak, Edelman, Goel, Kakade, Malach, Zhang (2022), NeurIPS, arXiv 2207.08799.
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 2; its sizes are the defaults.

    Example:
        >>> split = sparse_parity(jr.key(0), n=4, k=2, num_samples=16)
        >>> split.train_inputs.shape, int(split.train_targets.sum() + split.test_targets.sum())
        ((8, 4), 8)
    """
    if not 1 <= k <= n:
        raise ValueError(f"`k` must be from 1 to n={n}; got {k}.")
    if not 2 <= num_samples <= 2**n:
        raise ValueError(
            f"`num_samples` must be from 2 to 2^n={2**n}, the number of distinct vectors; got {num_samples}."
        )
    num_train = num_train_examples(num_samples, train_fraction)
    vectors = _distinct_vectors(np.random.default_rng(np.asarray(jr.key_data(jr.fold_in(key, 1)))), n, num_samples)
    targets = vectors[:, :k].sum(axis=1) % 2
    return random_split(jr.fold_in(key, 0), jnp.asarray(vectors, jnp.float32), targets.astype(np.int32), 2, num_train)


def _distinct_vectors(rng: np.random.Generator, n: int, num_samples: int) -> np.ndarray:
    if n <= 20:
        numbers = rng.choice(2**n, num_samples, replace=False)
        return numbers[:, None] >> np.arange(n) & 1
    vectors = np.empty((0, n), np.int64)
    while len(vectors) < num_samples:  # of 2^n > 10^6 vectors, few are drawn twice
        drawn = np.concatenate([vectors, rng.integers(0, 2, (num_samples, n))])
        first = np.sort(np.unique(drawn, axis=0, return_index=True)[1])
        vectors = drawn[first]
    return vectors[:num_samples]
