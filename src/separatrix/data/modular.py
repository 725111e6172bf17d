"""Binary operations on integers modulo p, the standard task on which networks grok.

The data set is the whole table of the operation, split at random. How integers are shown to the network matters:
one-hot codes say nothing about their order or similarity, distributed binary codes make the task easy to generalise.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from separatrix.data.split import Split, num_train_examples, random_split

__all__ = ["modular_arithmetic", "operation_table", "random_codes"]

Operation = Literal["add", "subtract", "multiply", "divide"] | Callable[[np.ndarray, np.ndarray], np.ndarray]
Encoding = Literal["onehot", "binary", "random_binary", "tokens", "pairs"]


def modular_arithmetic(
    key: PRNGKeyArray,
    p: int = 113,
    operation: Operation = "add",
    train_fraction: float = 0.4,
    encoding: Encoding = "onehot",
    bits: int = 14,
) -> Split:
    """All pairs (a, b) of integers modulo p, with the result of an operation as the class.

    Args:
        key: drives the split (and the codes of `"random_binary"`); may be traced, so that seeds can be batched.
        p: modulus, at least 2.
        operation: `"add"`, `"subtract"`, `"multiply"`, `"divide"` (by the modular inverse; p must be prime, and pairs
            with b = 0 are left out), or a function of two NumPy integer arrays whose values lie in [0, p).
        train_fraction: fraction of the pairs to train on, in (0, 1).
        encoding: what the inputs are.
            `"onehot"`: `(n, 2p)` float32, the one-hot codes of a and b.
            `"binary"`: `(n, 2 ceil(log2 p))` float32 in {0, 1}, most significant bit first.
            `"random_binary"`: `(n, 2 bits)` float32, a distinct random bit vector for each integer, the same in both
            places.
            `"tokens"`: `(n, 4)` int32, `[a, p, b, p + 1]`, where p stands for the operation and p + 1 for "=". All p
            integers occur; the token data published with the paper leave out 0.
            `"pairs"`: `(n, 2)` int32, a and b, for `PairMLP`.
        bits: length of the codes of `"random_binary"`.

    Returns:
        The split, with int32 targets and p classes.

    Raises:
        ValueError: if an argument is out of range, p is not prime for `"divide"`, 2^bits < p for `"random_binary"`,
            or a function returns values outside [0, p).

    References:
        Power, Burda, Edwards, Babuschkin, Misra (2022), arXiv 2201.02177.
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 2.

    Example:
        >>> split = modular_arithmetic(jr.key(0), p=5, train_fraction=0.6, encoding="pairs")
        >>> split.train_inputs.shape, split.test_inputs.shape
        ((15, 2), (10, 2))
        >>> bool(jnp.all(split.train_inputs.sum(axis=1) % 5 == split.train_targets))
        True
    """
    a, b, c = operation_table(p, operation)
    num_train = num_train_examples(len(c), train_fraction)
    # The codes have their own key, so that the same key gives the same split in every encoding.
    inputs = _encode(jr.fold_in(key, 1), a, b, p, encoding, bits)
    return random_split(jr.fold_in(key, 0), inputs, c.astype(np.int32), p, num_train)


def operation_table(p: int, operation: Operation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of operands and their results.

    Args:
        p: modulus, at least 2.
        operation: as for `modular_arithmetic`.

    Returns:
        Three NumPy arrays a, b and a∘b, ordered by a, then b; `p^2` long (`p (p - 1)` for `"divide"`).

    Raises:
        ValueError: as `modular_arithmetic`.

    Example:
        >>> a, b, c = operation_table(5, "divide")
        >>> int(c[(a == 1) & (b == 2)][0])  # 2 times 3 is 1 modulo 5
        3
    """
    if p < 2:
        raise ValueError(f"The modulus `p` must be at least 2; got {p}.")
    a, b = (x.ravel() for x in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    if callable(operation):
        with jax.ensure_compile_time_eval():
            c = np.asarray(operation(a, b))
        if c.shape != a.shape or not np.issubdtype(c.dtype, np.integer) or c.min() < 0 or c.max() >= p:
            raise ValueError(
                f"`operation` must map two integer arrays of shape {a.shape} to one with values in [0, {p}); got dtype "
                f"{c.dtype}, shape {c.shape}. Take the result modulo p."
            )
        return a, b, c
    if operation == "divide":
        if not _is_prime(p):
            raise ValueError(f"Division needs a prime modulus, so that every b != 0 has an inverse; got p={p}.")
        a, b = a[b != 0], b[b != 0]
        inverses = np.array([0, *(pow(i, -1, p) for i in range(1, p))])
        return a, b, a * inverses[b] % p
    operations = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}
    if operation not in operations:
        raise ValueError(
            f'`operation` must be "add", "subtract", "multiply", "divide" or a function; got {operation!r}.'
        )
    return a, b, operations[operation](a, b) % p


def random_codes(key: PRNGKeyArray, num_codes: int, bits: int) -> Float[Array, "codes bits"]:
    """Distinct random bit vectors, uniform among all such sets.

    Args:
        key: drives the choice; may be traced.
        num_codes: how many vectors.
        bits: their length, from log2(num_codes) to 20 (the choice enumerates all 2^bits vectors).

    Returns:
        float32 array of zeros and ones.

    Raises:
        ValueError: if `bits` is out of range.

    Example:
        >>> codes = random_codes(jr.key(0), 8, 3)
        >>> sorted(int(c) for c in codes @ jnp.array([4, 2, 1]))
        [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if not (1 <= bits <= 20 and 2**bits >= num_codes):
        raise ValueError(
            f"`bits` must be from {max(1, math.ceil(math.log2(num_codes)))} to 20 to give {num_codes} integers "
            f"distinct codes; got {bits}."
        )
    return _bits(jr.permutation(key, 2**bits)[:num_codes], bits)


def _encode(key: PRNGKeyArray, a: np.ndarray, b: np.ndarray, p: int, encoding: str, bits: int) -> Array:
    pairs = jnp.asarray(np.stack([a, b], axis=1), jnp.int32)
    if encoding == "pairs":
        return pairs
    if encoding == "tokens":
        operator, equals = np.full_like(a, p), np.full_like(a, p + 1)
        return jnp.asarray(np.stack([a, operator, b, equals], axis=1), jnp.int32)
    if encoding == "onehot":
        codes = jnp.eye(p, dtype=jnp.float32)
    elif encoding == "binary":
        codes = _bits(jnp.arange(p), (p - 1).bit_length())
    elif encoding == "random_binary":
        codes = random_codes(key, p, bits)
    else:
        raise ValueError(
            f'`encoding` must be "onehot", "binary", "random_binary", "tokens" or "pairs"; got {encoding!r}.'
        )
    return codes[pairs].reshape(len(a), -1)


def _bits(numbers: Int[Array, " n"], length: int) -> Float[Array, "n length"]:
    return (numbers[:, None] >> jnp.arange(length - 1, -1, -1) & 1).astype(jnp.float32)


def _is_prime(p: int) -> bool:
    return p >= 2 and all(p % d for d in range(2, math.isqrt(p) + 1))
