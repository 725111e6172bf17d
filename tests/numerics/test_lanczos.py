"""Lanczos against dense eigendecompositions, also where the Krylov space is exhausted."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.lanczos import eigenpairs, tridiagonalise
from separatrix.numerics.operators import hessian_operator

from .curvature_cases import case, loss, symmetric

close = lambda a, b, tol: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


def dense(form):
    return jnp.diag(form.diagonal) + jnp.diag(form.off_diagonal, 1) + jnp.diag(form.off_diagonal, -1)


def multiply(matrix):
    return lambda v: matrix @ v


def test_recurrence_and_orthonormality(x64):
    matrix = symmetric(jnp.linspace(-1.0, 3.0, 40))
    form = tridiagonalise(multiply(matrix), jr.normal(jr.key(0), (40,)), 12)
    close(form.basis @ form.basis.T, jnp.eye(12), 1e-13)
    left = matrix @ form.basis.T - form.basis.T @ dense(form)
    close(left[:, :-1], 0, 1e-13)
    close(jnp.linalg.norm(left[:, -1]), form.residual, 1e-13)


def test_full_length_has_the_spectrum(x64):
    eigenvalues = jnp.sort(jr.normal(jr.key(1), (25,)))
    form = tridiagonalise(multiply(symmetric(eigenvalues)), jr.normal(jr.key(0), (25,)), 25)
    close(jnp.linalg.eigvalsh(dense(form)), eigenvalues, 1e-12)
    assert form.residual < 1e-12


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("eigenvalues", [[2.0] * 8, [0.0] * 8, [5.0] * 3 + [1.0] * 5])
def test_exhausted_space_is_continued(x64, eigenvalues, dtype):
    matrix = jnp.asarray(symmetric(jnp.array(eigenvalues)), dtype)
    form = tridiagonalise(multiply(matrix), jr.normal(jr.key(0), (8,), dtype), 8)
    tolerance = 50 * float(jnp.finfo(dtype).eps)
    close(jnp.linalg.eigvalsh(dense(form)), np.sort(eigenvalues), tolerance * 5)  # with multiplicities
    close(form.basis @ form.basis.T, jnp.eye(8), tolerance)


@pytest.mark.parametrize(
    ("end", "positions", "basis_size"),
    [("largest", [-1, -2], None), ("smallest", [1, 0], 6), ("both", [-1, -2, 1, 0], None), ("both", [-1, -2, 1, 0], 9)],
)
def test_extreme_pairs(x64, end, positions, basis_size):
    eigenvalues = jnp.sort(jr.normal(jr.key(2), (60,)))
    matrix = symmetric(eigenvalues)
    start = jr.normal(jr.key(0), (60,))
    found = eigenpairs(multiply(matrix), start, 2, end=end, tolerance=1e-9, max_matvecs=2_000, basis_size=basis_size)
    close(found.values, eigenvalues[jnp.array(positions)], 1e-10)
    assert bool(found.converged.all())
    true = jnp.linalg.norm(matrix @ found.vectors.T - found.vectors.T * found.values, axis=0)
    close(true, found.residuals, 1e-10)  # the residual is what it says
    close(found.vectors @ found.vectors.T, jnp.eye(len(positions)), 1e-9)


def test_all_pairs_of_a_small_matrix(x64):
    eigenvalues = jnp.array([-2.0, 0.5, 1.0, 7.0])
    found = eigenpairs(multiply(symmetric(eigenvalues)), jnp.ones(4), 4)
    close(found.values, eigenvalues[::-1], 1e-12)
    assert int(found.num_matvecs) == 4


def test_a_multiple_eigenvalue_is_found_as_often(x64):
    # A Krylov space holds one vector of each eigenspace, so the others need the random continuation.
    eigenvalues = jnp.concatenate([jnp.full(3, 4.0), jnp.ones(27)])
    found = eigenpairs(multiply(symmetric(eigenvalues)), jr.normal(jr.key(0), (30,)), 4)
    close(found.values, [4.0, 4.0, 4.0, 1.0], 1e-9)


def test_unconverged_is_said():
    matrix = symmetric(jnp.linspace(0.0, 1.0, 200))
    found = eigenpairs(multiply(matrix), jr.normal(jr.key(0), (200,)), 1, tolerance=1e-6, max_matvecs=10)
    assert not bool(found.converged[0])
    assert float(jnp.abs(found.values[0] - 1)) <= float(found.residuals[0])  # an eigenvalue lies within the residual
    assert float(found.residuals[0]) > 1e-6


def test_warm_start_takes_fewer_products(x64):
    matrix = symmetric(jnp.linspace(0.0, 1.0, 100) ** 2)
    cold = eigenpairs(multiply(matrix), jr.normal(jr.key(0), (100,)), 1, tolerance=1e-6)
    moved = matrix + 1e-5 * symmetric(jr.normal(jr.key(5), (100,)), key=1)
    warm = eigenpairs(multiply(moved), cold.vectors[0], 1, tolerance=1e-4)
    again = eigenpairs(multiply(moved), jr.normal(jr.key(0), (100,)), 1, tolerance=1e-4)
    assert int(warm.num_matvecs) < int(again.num_matvecs)
    close(warm.values[0], again.values[0], 1e-5)


@pytest.mark.parametrize("start", [0.0, jnp.nan, jnp.inf])
def test_useless_starts_are_replaced(start):
    found = eigenpairs(multiply(symmetric(jnp.arange(20.0))), jnp.full(20, start))
    assert float(found.values[0]) == pytest.approx(19.0, rel=1e-4)


def test_not_finite_operator_gives_nan_and_ends():
    found = eigenpairs(lambda v: v * jnp.nan, jnp.ones(30))
    assert bool(jnp.isnan(found.values[0]))
    assert not bool(found.converged[0])


def test_float32_hessian_of_a_network():
    params, batch = case()
    operator = hessian_operator(loss, params, batch)
    expected = jnp.linalg.eigvalsh(operator.to_dense())
    found = eigenpairs(operator, operator.random_vector(jr.key(0)), 3, end="both")
    close(found.values, jnp.concatenate([expected[-3:][::-1], expected[:3][::-1]]), 1e-4)


def test_vmap_equals_a_loop(x64):
    matrices = jnp.stack([symmetric(jr.normal(jr.key(i), (30,)), key=i) for i in range(3)])
    solve = lambda m: eigenpairs(multiply(m), jnp.ones(30), 2, tolerance=1e-8).values  # noqa: E731
    close(jax.vmap(solve)(matrices), jax.lax.map(solve, matrices), 1e-12)


def test_refusals():
    product = multiply(jnp.eye(5))
    with pytest.raises(ValueError, match=r"`num_steps` must lie in 1..5"):
        tridiagonalise(product, jnp.ones(5), 6)
    with pytest.raises(ValueError, match="ask for at most 5 pairs"):
        eigenpairs(product, jnp.ones(5), 3, end="both")
    with pytest.raises(ValueError, match="`end` must be"):
        eigenpairs(product, jnp.ones(5), end="top")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`basis_size` must be at least 3"):
        eigenpairs(product, jnp.ones(5), basis_size=2)
