"""Certified Koopman analysis: what a system's linear operator is, what data can say of it, and what they cannot."""

from .adversarial_game import GameRound, game
from .correlation_moments import cosine_filter, fejer_filter, moment_measure, moments, vandeven_filter
from .dictionaries import (
    Coordinates,
    delay,
    fourier,
    kernel_sections,
    neural,
    polynomial,
    radial_kmeans,
    rbf,
    stack,
)
from .disc_adversary import TwistedDisc, disc, disc_spectra
from .extended_dmd import KoopmanPairs, edmd, koopman_matrix, koopman_pairs
from .gram_matrices import Dictionary, Gram, Snapshots, compress, evaluate, gram, stream_gram
from .kernel_dmd import (
    GaussianKernel,
    KernelPairs,
    LaplacianKernel,
    LorentzianKernel,
    PolynomialKernel,
    kernel_edmd,
    knee,
    mean_distance,
)
from .koopman_learner import KoopmanLearner
from .limit_towers import Tower, iterated_limit
from .measure_preserving import MeasurePreserving, atomic_measure, mp_edmd
from .mode_forecast import KoopmanModes, fit_modes, forecast
from .orthonormal_basis import OrthonormalForm, orthonormal_form
from .pseudospectra import PseudoEigenfunctions, grid, pseudo_eigenfunctions, pseudospectrum, smallest_residuals
from .residual_dmd import residuals, residuals_from_gram, trustworthy
from .sea_ice import MonthlyField, load_monthly_field, monthly_anomalies, periodic_forecast, persistence_forecast
from .snapshot_data import SnapshotPairs, duffing, pairs_from, rossler, simulate_snapshots
from .solvability import Classification, classify, covering, hausdorff, settles, verified
from .spectral_measures import rational_kernel, resolvent_measure, spectral_measure
from .toral_maps import ToralMap, exact_pseudospectrum, toral_chains, uniform_torus
from .torus_adversary import GOLDEN, SkewTorus, decision_time, torus
from .trajectory_products import gram_form, trajectory_gram
from .verification import VerifiedSpectrum, isometric_floor, verified_spectrum
from .wiener_means import rage, wiener_mean

__all__ = [
    "GOLDEN",
    "Classification",
    "Coordinates",
    "Dictionary",
    "GameRound",
    "GaussianKernel",
    "Gram",
    "KernelPairs",
    "KoopmanLearner",
    "KoopmanModes",
    "KoopmanPairs",
    "LaplacianKernel",
    "LorentzianKernel",
    "MeasurePreserving",
    "MonthlyField",
    "OrthonormalForm",
    "PolynomialKernel",
    "PseudoEigenfunctions",
    "SkewTorus",
    "SnapshotPairs",
    "Snapshots",
    "ToralMap",
    "Tower",
    "TwistedDisc",
    "VerifiedSpectrum",
    "atomic_measure",
    "classify",
    "compress",
    "cosine_filter",
    "covering",
    "decision_time",
    "delay",
    "disc",
    "disc_spectra",
    "duffing",
    "edmd",
    "evaluate",
    "exact_pseudospectrum",
    "fejer_filter",
    "fit_modes",
    "forecast",
    "fourier",
    "game",
    "gram",
    "gram_form",
    "grid",
    "hausdorff",
    "isometric_floor",
    "iterated_limit",
    "kernel_edmd",
    "kernel_sections",
    "knee",
    "koopman_matrix",
    "koopman_pairs",
    "load_monthly_field",
    "mean_distance",
    "moment_measure",
    "moments",
    "monthly_anomalies",
    "mp_edmd",
    "neural",
    "orthonormal_form",
    "pairs_from",
    "periodic_forecast",
    "persistence_forecast",
    "polynomial",
    "pseudo_eigenfunctions",
    "pseudospectrum",
    "radial_kmeans",
    "rage",
    "rational_kernel",
    "rbf",
    "residuals",
    "residuals_from_gram",
    "resolvent_measure",
    "rossler",
    "settles",
    "simulate_snapshots",
    "smallest_residuals",
    "spectral_measure",
    "stack",
    "stream_gram",
    "toral_chains",
    "torus",
    "trajectory_gram",
    "trustworthy",
    "uniform_torus",
    "vandeven_filter",
    "verified",
    "verified_spectrum",
    "wiener_mean",
]
