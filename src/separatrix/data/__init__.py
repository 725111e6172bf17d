"""Data sets, each a `Split` drawn from a key."""

from .corruption import clean_floor, corrupt_labels
from .images import digits, fashion_mnist
from .modular import modular_arithmetic
from .parity import sparse_parity
from .regression import RegressionSplit, relu_teacher, sparse_regression
from .split import Split, random_split
from .teachers import TeacherSplit, hermite, multi_index_data, single_index_data

__all__ = [
    "RegressionSplit",
    "Split",
    "TeacherSplit",
    "clean_floor",
    "corrupt_labels",
    "digits",
    "fashion_mnist",
    "hermite",
    "modular_arithmetic",
    "multi_index_data",
    "random_split",
    "relu_teacher",
    "single_index_data",
    "sparse_parity",
    "sparse_regression",
]
