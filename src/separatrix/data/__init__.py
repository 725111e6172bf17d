"""Data sets, each a `Split` drawn from a key."""

from .images import digits, fashion_mnist
from .modular import modular_arithmetic
from .parity import sparse_parity
from .split import Split, random_split

__all__ = ["Split", "digits", "fashion_mnist", "modular_arithmetic", "random_split", "sparse_parity"]
