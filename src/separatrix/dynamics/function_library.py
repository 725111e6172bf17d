"""Dictionaries of functions of a state and an input, in which sparse regression looks for a law."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["ControlAffineLibrary", "PolynomialLibrary"]


def _exponents(n: int, degree: int, interactions: bool, bias: bool) -> tuple[tuple[int, ...], ...]:
    found = [(0,) * n] if bias else []
    for total in range(1, degree + 1):
        for combination in itertools.combinations_with_replacement(range(n), total):
            if interactions or len(set(combination)) == 1:
                found.append(tuple(combination.count(i) for i in range(n)))
    return tuple(found)


def _monomials(x: Float[Array, "*batch n"], exponents: Sequence[tuple[int, ...]]) -> Float[Array, "*batch p"]:
    # each monomial is a lower one times a coordinate, so no power is computed twice
    known = {(0,) * x.shape[-1]: jnp.ones_like(x[..., 0])}

    def monomial(powers):
        if powers not in known:
            i = next(i for i, power in enumerate(powers) if power)
            lower = (*powers[:i], powers[i] - 1, *powers[i + 1 :])
            known[powers] = monomial(lower) * x[..., i]
        return known[powers]

    return jnp.stack([monomial(powers) for powers in exponents], axis=-1)


def _name(powers: Sequence[int], variables: Sequence[str]) -> str:
    factors = [v if k == 1 else f"{v}^{k}" for v, k in zip(variables, powers, strict=True) if k]
    return " ".join(factors) or "1"


class PolynomialLibrary(eqx.Module):
    """Monomials of a state of `n` coordinates, by rising degree.

    Attributes:
        n: number of coordinates.
        degree: largest total degree, at least 1.
        interactions: whether products of different coordinates belong to it.
        bias: whether the constant belongs to it.

    Examples:
        >>> library = PolynomialLibrary(2, degree=2)
        >>> library.names()
        ('x0', 'x1', 'x0^2', 'x0 x1', 'x1^2')
        >>> library.transform(jnp.array([2.0, 3.0])).tolist()
        [2.0, 3.0, 4.0, 6.0, 9.0]
    """

    n: int = eqx.field(static=True)
    degree: int = eqx.field(static=True, default=2)
    interactions: bool = eqx.field(static=True, default=True)
    bias: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        """Refuse a library without functions."""
        if self.n < 1 or self.degree < 1:
            raise ValueError(f"`n` and `degree` must be at least 1; got {self.n} and {self.degree}.")

    @property
    def size(self) -> int:
        """Number of functions."""
        return len(_exponents(self.n, self.degree, self.interactions, self.bias))

    def transform(
        self, x: Float[Array, "*batch n"], u: Float[Array, "*batch m"] | None = None
    ) -> Float[Array, "*batch p"]:
        """Evaluate the functions.

        Args:
            x: states.
            u: not used; here so that libraries with and without inputs can be exchanged.

        Returns:
            One column a function.

        Raises:
            ValueError: if the states have another number of coordinates.
        """
        del u
        if x.shape[-1] != self.n:
            raise ValueError(f"the library is of {self.n} coordinates; got states of shape {x.shape}.")
        return _monomials(x, _exponents(self.n, self.degree, self.interactions, self.bias))

    def names(self, variables: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the functions in words.

        Args:
            variables: names of the coordinates; x0, x1, ... by default.

        Returns:
            One name a function.
        """
        variables = variables or [f"x{i}" for i in range(self.n)]
        return tuple(_name(p, variables) for p in _exponents(self.n, self.degree, self.interactions, self.bias))


class ControlAffineLibrary(eqx.Module):
    """Functions that are polynomial in the state and affine in the input: `[p(x), u, p(x) u_1, ..., p(x) u_m]`.

    `p` holds the monomials without the constant; the products are there only if `tensor`.

    Attributes:
        n: number of coordinates of the state.
        m: number of inputs.
        degree: largest total degree in the state.
        interactions: whether products of different coordinates belong to `p`.
        tensor: whether the products of `p` with the inputs belong to the library.

    References:
        Zolman et al. (2024), arXiv:2403.09110.

    Examples:
        >>> library = ControlAffineLibrary(5, 1, degree=2)
        >>> library.size, len(library.names())
        (41, 41)
    """

    n: int = eqx.field(static=True)
    m: int = eqx.field(static=True)
    degree: int = eqx.field(static=True, default=2)
    interactions: bool = eqx.field(static=True, default=True)
    tensor: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        """Refuse a library without inputs."""
        if self.m < 1:
            raise ValueError(f"`m` must be at least 1, or use PolynomialLibrary; got {self.m}.")

    @property
    def _states(self) -> PolynomialLibrary:
        return PolynomialLibrary(self.n, self.degree, self.interactions)

    @property
    def size(self) -> int:
        """Number of functions."""
        p = self._states.size
        return p + self.m + self.tensor * p * self.m

    def transform(self, x: Float[Array, "*batch n"], u: Float[Array, "*batch m"]) -> Float[Array, "*batch p"]:
        """Evaluate the functions.

        Args:
            x: states.
            u: inputs.

        Returns:
            One column a function.

        Raises:
            ValueError: if states or inputs have another number of coordinates.
        """
        if u.shape[-1] != self.m:
            raise ValueError(f"the library is of {self.m} inputs; got inputs of shape {u.shape}.")
        p = self._states.transform(x)
        products = [p * u[..., j : j + 1] for j in range(self.m)] if self.tensor else []
        return jnp.concatenate([p, u, *products], axis=-1)

    def names(self) -> tuple[str, ...]:
        """Return the functions in words, one name a function."""
        p = self._states.names()
        inputs = tuple(f"u{j}" for j in range(self.m))
        return p + inputs + (tuple(f"{a} {u}" for u in inputs for a in p) if self.tensor else ())
