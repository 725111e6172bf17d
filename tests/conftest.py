"""Shared fixtures."""

import jax
import pytest


@pytest.fixture
def x64():
    """Run the test with 64-bit types enabled, locally."""
    with jax.enable_x64():
        yield
