"""The estimator on users' snapshots, kernel EDMD, forecasts and monthly fields."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

from separatrix.dynamics.koopman import (
    Coordinates,
    GaussianKernel,
    KoopmanLearner,
    LaplacianKernel,
    LorentzianKernel,
    PolynomialKernel,
    duffing,
    fit_modes,
    forecast,
    kernel_edmd,
    knee,
    load_monthly_field,
    mean_distance,
    monthly_anomalies,
    pairs_from,
    periodic_forecast,
    persistence_forecast,
    polynomial,
    residuals,
    rossler,
    simulate_snapshots,
)

TURN = 0.97 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])


def linear_paths(count=5, times=30, seed=0):
    paths = [np.random.default_rng(seed).normal(size=(count, 2))]
    for _ in range(times - 1):
        paths.append(paths[-1] @ TURN.T)
    return np.stack(paths, axis=1)


@pytest.mark.parametrize("form", ["one trajectory", "list of unequal lengths", "stacked", "pairs"])
def test_a_linear_system_is_found_from_every_form_of_data(form):
    paths = linear_paths()
    data = {
        "one trajectory": (paths[0],),
        "list of unequal lengths": ([paths[0], paths[1][:12], paths[2][:20]],),
        "stacked": (paths,),
        "pairs": (paths[:, :-1].reshape(-1, 2), paths[:, 1:].reshape(-1, 2)),
    }[form]
    learner = KoopmanLearner(Coordinates()).fit(*data)
    expected = np.array([1.0, 0.97 * np.exp(0.4j), 0.97 * np.exp(-0.4j)])
    assert np.abs(learner.eigenvalues_[:, None] - expected).min(1).max() < 1e-10
    assert learner.residuals_.max() < 1e-9
    np.testing.assert_allclose(learner.predict(paths[4, :1], 5)[0], paths[4, 1:6], atol=1e-9)
    functions = learner.eigenfunctions(paths[4])
    np.testing.assert_allclose(functions[1:], functions[:-1] * learner.eigenvalues_, atol=1e-9)


def test_several_trajectories_are_forecast_as_they_are_fitted():
    paths = linear_paths(3)
    learner = KoopmanLearner(Coordinates(), delays=2).fit(paths)
    each = np.concatenate([learner.predict(path, 2) for path in paths])
    np.testing.assert_array_equal(learner.predict(paths, 2), each)
    np.testing.assert_array_equal(learner.predict(list(paths), 2), each)
    assert learner.eigenfunctions([paths[0], paths[1][:9]]).shape == (29 + 8, 3)


def test_delays_recover_a_hidden_coordinate():
    path = linear_paths()[0]
    learner = KoopmanLearner(Coordinates(), delays=2).fit(path[:, 0])
    assert learner.residuals_.max() < 1e-8
    np.testing.assert_allclose(learner.predict(path[:2, 0], 4)[0, :, 0], path[2:6, 0], atol=1e-8)


def test_trajectories_are_never_joined_and_held_out_pairs_are_not_fitted():
    parts = pairs_from([np.arange(4.0), np.arange(10.0, 13.0)])
    assert [len(p.x) for p in parts] == [3, 2]
    assert all((p.y - p.x == 1).all() for p in parts)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 3))
    learner = KoopmanLearner(polynomial(3, 3), held_out=0.5).fit(noise)
    assert np.median(learner.residuals_) > 0.5  # nothing to learn, and it says so
    given = KoopmanLearner(polynomial(3, 3)).fit(noise, held_out=(rng.normal(size=(50, 3)), None))
    assert np.isfinite(given.residuals_).all()
    assert np.isinf(KoopmanLearner(Coordinates(), held_out=0.0).fit(noise).residuals_).all()


def test_certificates_are_honest_and_labelled():
    starts = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 2))
    paths = simulate_snapshots(duffing(), starts, 5, every=30)
    learner = KoopmanLearner(polynomial(2, 5)).fit(paths)
    table = learner.certificates()
    assert table.residual.values.tolist() == learner.residuals_.tolist()
    points = learner.certificates(np.array([1.0, 0.3 + 0.2j]))
    assert isinstance(points, xr.Dataset)
    assert points.tau.values[0] < 1e-9  # the constant
    assert points.residual.values[1] >= 0.7 * points.tau.values[1]
    found = learner.verified_spectrum(np.array([1.0, 0.3 + 0.2j]), isometric=True)
    assert found.points.tolist() == [1.0]
    psi = learner.dictionary_(paths[150, :-1]), learner.dictionary_(paths[150, 1:])
    assert residuals(learner.eigenvalues_[:1], learner.eigenvectors_[:, :1], *psi)[0] < 1e-4


def test_the_default_dictionary_forecasts_a_nonlinear_flow():
    starts = np.random.default_rng(0).uniform(-1, 1, (150, 2))
    paths = simulate_snapshots(duffing(damping=0.5), starts, 20, every=10)
    learner = KoopmanLearner().fit(paths)
    errors = np.abs(learner.predict(paths[-1, :1], 10)[0] - paths[-1, 1:11]).max()
    assert errors < 0.1
    assert errors < 0.2 * np.abs(paths[-1, :1] - paths[-1, 1:11]).max()


def test_it_follows_the_conventions_of_scikit_learn():
    learner = KoopmanLearner(Coordinates(), delays=3, held_out=0.1)
    copy = clone(learner)
    assert copy.get_params()["delays"] == 3
    assert not hasattr(copy, "eigenvalues_")
    assert copy.set_params(delays=1).fit(linear_paths()) is copy
    assert copy.n_features_in_ == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KoopmanLearner().predict(np.ones(3)), "not fitted"),
        (lambda: KoopmanLearner().fit(np.array([1.0, np.nan, 2.0])), "`X` holds NaN"),
        (lambda: KoopmanLearner().fit(np.ones((3, 1)), np.full((3, 1), np.nan)), "`Y` holds NaN"),
        (lambda: KoopmanLearner(delays=9).fit(np.ones(5)), "need 9 times"),
        (lambda: KoopmanLearner(delays=2).fit(np.ones((5, 1)), np.ones((5, 1))), "already embedded"),
        (lambda: KoopmanLearner().fit(np.zeros((0, 2))), "not empty"),
        (lambda: KoopmanLearner().fit([np.ones((5, 1)), np.ones((5, 2))]), "must have 1 columns"),
        (lambda: KoopmanLearner(held_out=1.0).fit(np.arange(9.0)), r"in \[0, 1\)"),
        (lambda: KoopmanLearner(Coordinates(), largest_residual=-1.0).fit(np.arange(9.0)), "no pair has a residual"),
        (lambda: KoopmanLearner(Coordinates()).fit(linear_paths()).predict(np.ones((2, 5))), "must have 2 columns"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


KERNELS = [GaussianKernel, LaplacianKernel, LorentzianKernel, PolynomialKernel]


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_edmd_agrees_with_edmd_on_its_reduced_dictionary(kernel):
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.stack([0.9 * x[:, 0], 0.5 * x[:, 1] + 0.1 * x[:, 0] ** 2], axis=1)
    k = kernel(mean_distance(x))
    pairs = kernel_edmd(x, y, k, rank=8)
    psi_x, psi_y = (np.asarray(k(p, x)) @ pairs.reduction for p in (x, y))
    dense = np.linalg.eigvals(np.linalg.lstsq(psi_x, psi_y, rcond=None)[0])
    assert np.abs(pairs.values[:, None] - dense).min(1).max() < 1e-3  # the kernels above are in single precision
    assert (np.diff(pairs.bounds) > -1e-6).all()


def test_kernels_have_their_values():
    x, y, d = np.zeros((1, 2)), np.array([[3.0, 4.0]]), 2.0
    expected = [np.exp(-25 / 3.24), np.exp(-2.5), 1 / 7.25, 1.0]
    for kernel, value in zip(KERNELS, expected, strict=True):
        assert float(kernel(d)(x, y)[0, 0]) == pytest.approx(value, rel=1e-5)
    assert float(PolynomialKernel(d, degree=2)(y, y)[0, 0]) == pytest.approx(7.25**2, rel=1e-5)


def test_a_forecast_below_the_knee_follows_an_exactly_linear_system():
    path = linear_paths(1, 60)[0]
    pairs = kernel_edmd(path[:-1], path[1:], PolynomialKernel(1.0, degree=2), rank=6)
    assert pairs.bounds.max() < 1e-6  # the space of quadratics is invariant
    keep = knee(np.array([*pairs.bounds, 1.0]))
    modes = fit_modes(pairs.values[:keep], pairs.eigenfunctions(path[:-1])[:, :keep], path[:-1])
    ahead = forecast(modes, pairs.eigenfunctions(path[:1])[:, :keep], np.arange(10))
    np.testing.assert_allclose(ahead[0], path[:10], atol=1e-6)


def test_the_bound_of_a_pair_is_the_residual_of_the_adjoint():
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.random.default_rng(1).normal(size=(40, 2))
    k = GaussianKernel(mean_distance(x))
    pairs = kernel_edmd(x, y, k, rank=5)
    matrix = pairs.reduction.T @ np.asarray(k(y, x), float) @ pairs.reduction
    values, left = np.linalg.eig(matrix.conj().T)
    for value, bound in zip(pairs.values, pairs.bounds, strict=True):
        u = pairs.reduction @ left[:, np.abs(values.conj() - value).argmin()]
        full = [np.asarray(k(a, b), float) for a, b in ((x, x), (y, x), (y, y))]
        square = u.conj() @ full[2] @ u - 2 * (value * (u.conj() @ full[1] @ u).conj()).real
        square += abs(value) ** 2 * (u.conj() @ full[0] @ u)
        assert bound == pytest.approx(np.sqrt(max(square.real, 0) / (u.conj() @ full[0] @ u).real), rel=1e-3)


def test_the_flows_are_those_of_the_papers():
    energy = lambda p: p[..., 1] ** 2 / 2 - p[..., 0] ** 2 / 2 + p[..., 0] ** 4 / 4  # noqa: E731
    paths = simulate_snapshots(duffing(), np.array([[1.5, 0.2], [0.3, -1.0]]), 20, every=30)
    np.testing.assert_allclose(energy(paths), energy(paths[:, :1]) * np.ones((1, 21)), atol=1e-6)
    path = simulate_snapshots(rossler(), np.array([[1.0, 1.0, 0.0]]), 400, every=20, discard=4_000)[0]
    assert 15 < np.abs(path[:, 0]).max() < 30  # the attractor at c = 14
    assert np.isfinite(path).all()


def test_a_monthly_field_is_read_and_reduced(tmp_path):
    months = np.arange(60)
    field = np.stack([np.cos(2 * np.pi * months / 12), months * 0.1], axis=1).reshape(60, 1, 2)
    field = np.concatenate([field, np.full((60, 1, 2), np.nan)], axis=1)
    np.save(tmp_path / "a.npy", field)
    np.savez(tmp_path / "b.npz", ice=np.moveaxis(field, 0, -1), other=1.0)
    xr.Dataset({"ice": (("time", "y", "x"), field)}).to_netcdf(tmp_path / "c.nc", engine="scipy")
    loaded = [
        load_monthly_field(tmp_path / "a.npy"),
        load_monthly_field(tmp_path / "b.npz", "ice", time_axis=-1),
        load_monthly_field(tmp_path / "c.nc"),
    ]
    for one in loaded:
        assert one.values.shape == (60, 2)
        assert one.valid.tolist() == [[True, True], [False, False]]
    anomalies, means = monthly_anomalies(loaded[0].values, 48)
    assert np.abs(anomalies[:, 0]).max() < 1e-12
    assert means.shape == (12, 2)
    np.testing.assert_allclose(periodic_forecast(loaded[0].values, 14)[:, 0], field[:14, 0, 0], atol=1e-9)
    assert (persistence_forecast(loaded[0].values, 3)[:, 1] == field[-1, 0, 1]).all()
    with pytest.raises(FileNotFoundError, match="download the field"):
        load_monthly_field(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="name the variable"):
        load_monthly_field(tmp_path / "b.npz", "snow")
