"""Numerics that serve both halves: Lyapunov exponents, exact rounding."""

from .lyapunov import (
    LyapunovSpectrum,
    Tangent,
    leading_exponent,
    lyapunov_spectrum,
)
from .rounding import pairwise_sum, round_to

__all__ = ["LyapunovSpectrum", "Tangent", "leading_exponent", "lyapunov_spectrum", "pairwise_sum", "round_to"]
