"""Dynamical systems: flows and maps with known invariants."""

from .flow import Flow, lorenz63
from .maps import LinearMap, LogisticMap

__all__ = ["Flow", "LinearMap", "LogisticMap", "lorenz63"]
