"""Dynamical systems: flows and maps with known invariants."""

from .flow import Flow as Flow
from .flow import lorenz63 as lorenz63
from .maps import LinearMap as LinearMap
from .maps import LogisticMap as LogisticMap

__all__ = ["Flow", "LinearMap", "LogisticMap", "lorenz63"]
