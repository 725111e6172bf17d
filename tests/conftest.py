"""Shared fixtures."""

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
