"""Shared fixtures."""

import os

# The tests are nearly all compilation of small programs; LLVM's optimiser would take a third of their time.
os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {os.environ.get('XLA_FLAGS', '')}".strip()

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def few_compiled_programs():
    """Drop compiled programs after each module: thousands of them exhaust the memory maps a process may have."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Run the test with 64-bit types enabled, locally."""
    with jax.enable_x64():
        yield
