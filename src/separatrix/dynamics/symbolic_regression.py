"""Symbolic regression of vector fields: laws fitted to states and derivatives, and how well they predict others."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from separatrix.dynamics.sparse_regression import stlsq
from separatrix.systems.forecast_error import smape

__all__ = ["FourierLibrary", "Law", "Recovery", "fit_dsr", "fit_law", "fit_pysr", "law_score", "recovery"]


class FourierLibrary(eqx.Module):
    """Sines and cosines of integer multiples of each coordinate, and a constant if wanted.

    Attributes:
        n: number of coordinates.
        frequencies: multiples 1, 2, ..., `frequencies`.
        bias: whether the constant belongs to it.

    Examples:
        >>> library = FourierLibrary(2, 1)
        >>> library.names()
        ('sin(1 x0)', 'cos(1 x0)', 'sin(1 x1)', 'cos(1 x1)')
        >>> library.transform(jnp.zeros(2)).tolist()
        [0.0, 1.0, 0.0, 1.0]
    """

    n: int = eqx.field(static=True)
    frequencies: int = eqx.field(static=True, default=10)
    bias: bool = eqx.field(static=True, default=False)

    @property
    def size(self) -> int:
        """Number of functions."""
        return 2 * self.n * self.frequencies + self.bias

    def transform(self, x: Float[Array, "*batch n"], u: Any = None) -> Float[Array, "*batch p"]:
        """Evaluate the functions; `u` is not used."""
        del u
        if x.shape[-1] != self.n:
            raise ValueError(f"the library is of {self.n} coordinates; got states of shape {x.shape}.")
        angles = x[..., None] * jnp.arange(1, self.frequencies + 1, dtype=x.dtype)
        waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(*x.shape[:-1], -1)
        return jnp.concatenate([jnp.ones_like(x[..., :1]), waves], axis=-1) if self.bias else waves

    def names(self, variables: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the functions in words.

        Args:
            variables: names of the coordinates; x0, x1, ... by default.

        Returns:
            One name a function.
        """
        variables = variables or [f"x{i}" for i in range(self.n)]
        waves = [f"{f}({k} {v})" for v in variables for k in range(1, self.frequencies + 1) for f in ("sin", "cos")]
        return ("1",) * self.bias + tuple(waves)


class Law(eqx.Module):
    """`dx/dt = library(x) coefficients`."""

    library: Any
    coefficients: Float[np.ndarray, "p N"]

    def __call__(self, x: Float[ArrayLike, "*batch N"]) -> Float[np.ndarray, "*batch N"]:
        """Return derivatives at states, in float64."""
        with jax.enable_x64():
            theta = np.asarray(self.library.transform(jnp.asarray(np.asarray(x, float))))
        return theta @ self.coefficients


def fit_law(
    x: Float[ArrayLike, "T N"],
    derivative: Float[ArrayLike, "T N"],
    library: Any,
    *,
    threshold: float = 0.1,
    alpha: float = 0.0,
) -> Law:
    """Fit a sparse law to states and their derivatives (SINDy), in float64.

    Columns that the samples do not tell apart are handled by a last, unpenalised least squares on the support, which
    picks the smallest coefficients.

    Args:
        x: states.
        derivative: derivatives by time, exact or estimated.
        library: `transform(x)` and `names()`, such as `PolynomialLibrary(3, 2, bias=True)`.
        threshold: smallest modulus of a coefficient that stays.
        alpha: ridge penalty while terms are removed.

    Returns:
        The law.

    Raises:
        ValueError: if there are fewer samples than functions.

    References:
        Brunton, Proctor, Kutz (2016), PNAS 113, 3932-3937.

    Examples:
        >>> from separatrix.dynamics import PolynomialLibrary
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> fit_law(x, 3 * x - 2 * x**2, PolynomialLibrary(1, 2, bias=True)).coefficients.round(6).ravel().tolist()
        [0.0, 3.0, -2.0]
    """
    x, derivative = np.asarray(x, float), np.asarray(derivative, float)
    with jax.enable_x64():
        theta = library.transform(jnp.asarray(x))
        if len(theta) < theta.shape[1]:
            raise ValueError(f"{len(theta)} samples are fewer than the {theta.shape[1]} functions; give more.")
        # a trace of ridge keeps the passes finite where columns depend on each other on the samples
        floor = 1e-14 * float(jnp.max(jnp.sum(theta**2, axis=0)))
        rough = np.asarray(_fit(theta, jnp.asarray(derivative), max(alpha, floor), threshold))
        theta = np.asarray(theta)
    coefficients = np.zeros_like(rough)
    for j in range(rough.shape[1]):
        kept = rough[:, j] != 0
        if kept.any():
            coefficients[kept, j] = np.linalg.lstsq(theta[:, kept], derivative[:, j], rcond=None)[0]
    return Law(library, coefficients)


_fit = jax.jit(stlsq)


def law_score(
    law: Callable[[np.ndarray], np.ndarray], x: Float[ArrayLike, "T N"], derivative: Float[ArrayLike, "T N"]
) -> float:
    """Median over components of the sMAPE, on the scale of 2, of predicted derivatives on held-out states.

    Args:
        law: from states to derivatives.
        x: held-out states.
        derivative: derivatives there.

    Returns:
        A number in `[0, 2]`.

    Examples:
        >>> law_score(lambda x: x, np.ones((3, 2)), np.ones((3, 2)))
        0.0
    """
    guess = np.asarray(law(np.asarray(x, float)))
    derivative = np.asarray(derivative, float)
    return float(np.median([smape(derivative[:, j], guess[:, j], scale=2.0) for j in range(derivative.shape[1])]))


class Recovery(NamedTuple):
    """How a fitted law compares with the true one: F1 of the supports, and the largest error of a coefficient."""

    f1: float
    error: float


def recovery(law: Law, field: Callable[[Any], Any], *, seed: int = 0) -> Recovery:
    """Compare a law with a field that lies in the span of its library.

    The true coefficients come from the field at random states, which tell all functions apart.

    Args:
        law: fitted.
        field: the true one, from a state to its derivative, in JAX.
        seed: of the states.

    Returns:
        F1 of the supports and the largest error.

    Raises:
        ValueError: if the field does not lie in the span of the library.

    Examples:
        >>> from separatrix.dynamics import PolynomialLibrary
        >>> library = PolynomialLibrary(1, 2, bias=True)
        >>> recovery(Law(library, np.array([[0.0], [3.0], [0.0]])), lambda x: 3 * x)
        Recovery(f1=1.0, error=0.0)
    """
    rng = np.random.default_rng(seed)
    with jax.enable_x64():
        states = jnp.asarray(rng.normal(size=(20 * law.library.size, law.library.n)))
        theta = np.asarray(law.library.transform(states))
        values = np.asarray(jax.vmap(field)(states))
    truth = np.linalg.lstsq(theta, values, rcond=None)[0]
    if not np.allclose(theta @ truth, values, atol=1e-8 * (1 + np.abs(values).max())):
        raise ValueError("the field does not lie in the span of the library; a law in it cannot be exact.")
    truth = np.where(np.abs(truth) < 1e-10 * np.abs(truth).max(), 0.0, truth).round(12)
    found, true = law.coefficients != 0, truth != 0
    f1 = 2 * np.sum(found & true) / max(int(found.sum() + true.sum()), 1)
    return Recovery(float(f1), float(np.abs(law.coefficients - truth).max()))


def _peer(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this peer needs the package {package}: pip install {package}.") from error


def fit_pysr(x: Float[ArrayLike, "T N"], derivative: Float[ArrayLike, "T N"], **options: Any) -> Callable:
    """Evolve expressions with PySR, through its own package (which brings Julia).

    Args:
        x: states.
        derivative: derivatives by time.
        **options: of `pysr.PySRRegressor`.

    Returns:
        A function from states to derivatives.

    Raises:
        ImportError: if the package is missing.

    References:
        Cranmer (2023), arXiv:2305.01582.
    """
    package = _peer("pysr", "pysr")
    model = package.PySRRegressor(**options)
    model.fit(np.asarray(x, float), np.asarray(derivative, float))
    return lambda states: np.asarray(model.predict(np.asarray(states, float)))


def fit_dsr(x: Float[ArrayLike, "T N"], derivative: Float[ArrayLike, "T N"], config: Any = None) -> Callable:
    """Search expressions by deep symbolic regression, through its own package, one component at a time.

    Args:
        x: states.
        derivative: derivatives by time.
        config: of `dso.DeepSymbolicRegressor`.

    Returns:
        A function from states to derivatives.

    Raises:
        ImportError: if the package is missing.

    References:
        Petersen et al. (2021), ICLR, arXiv:1912.04871.
    """
    package = _peer("dso", "dso")
    x, derivative = np.asarray(x, float), np.asarray(derivative, float)
    models = [package.DeepSymbolicRegressor(*() if config is None else (config,)).fit(x, d) for d in derivative.T]
    return lambda states: np.stack([np.asarray(m.predict(np.asarray(states, float))) for m in models], axis=-1)
