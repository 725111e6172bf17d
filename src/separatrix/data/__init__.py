"""Data sets, each a `Split` drawn from a key."""

from .cifar import cifar10
from .corruption import clean_floor, corrupt_labels
from .image_folders import cifar100, image_folder
from .images import digits, fashion_mnist, mnist
from .modular import modular_arithmetic
from .offline_logs import read_log, write_hdf5, write_minari, write_table
from .parity import sparse_parity
from .regression import RegressionSplit, relu_teacher, sparse_regression
from .split import Split, random_split
from .task_sets import (
    class_incremental,
    domain_incremental,
    gaussian_tasks,
    permuted,
    rotate_images,
    rotated,
    task_incremental,
)
from .task_streams import Examples, OneTask, TaskBatch, TaskSet, TaskStream, stack_tasks
from .teachers import TeacherSplit, hermite, multi_index_data, single_index_data
from .transitions import LoggedEpisodes, Transitions

__all__ = [
    "Examples",
    "LoggedEpisodes",
    "OneTask",
    "RegressionSplit",
    "Split",
    "TaskBatch",
    "TaskSet",
    "TaskStream",
    "TeacherSplit",
    "Transitions",
    "cifar10",
    "cifar100",
    "class_incremental",
    "clean_floor",
    "corrupt_labels",
    "digits",
    "domain_incremental",
    "fashion_mnist",
    "gaussian_tasks",
    "hermite",
    "image_folder",
    "mnist",
    "modular_arithmetic",
    "multi_index_data",
    "permuted",
    "random_split",
    "read_log",
    "relu_teacher",
    "rotate_images",
    "rotated",
    "single_index_data",
    "sparse_parity",
    "sparse_regression",
    "stack_tasks",
    "task_incremental",
    "write_hdf5",
    "write_minari",
    "write_table",
]
