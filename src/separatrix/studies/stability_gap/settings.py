"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from pathlib import Path

OLD, NEW = 0, 1


@dataclass(frozen=True)
class Settings:
    """The card's calibrated protocol: scikit-learn's digits, a 64-100-100-10 network, momentum carried over switches.

    In the two-task arms replay weighs old and new batches equally (`two_task_lam`); the card states lambda = 0.3 for
    the five-task stream alone.
    """

    seeds: int = 5
    hidden: int = 100
    rate: float = 0.03
    momentum: float = 0.9
    batch: int = 32
    # five tasks of two classes
    steps: int = 100
    capacity: int = 200  # 40 a task
    lam: float = 0.3
    subset: int = 1_000
    # two rotations
    two_task_steps: int = 150
    two_task_lam: float = 0.5
    ewc_strength: float = 300.0
    lwf_strength: float = 3.0
    gem_margin: float = 0.5
    long_steps: int = 400  # on the first task, where the mechanism is looked at
    examples: int = 1_257


@dataclass(frozen=True)
class ImageSettings:
    """What `full` adds: where the files are.

    Attributes:
        data: folder with `mnist` (the four files), `cifar-10-batches-bin`, `mini-imagenet` (a subfolder of images for
            each class) and `mini-domainnet` (a subfolder for each domain, with one for each class); empty to leave
            these arms out.
    """

    data: str = ""

    def __post_init__(self):
        if self.data and not Path(self.data).is_dir():
            raise ValueError(f"there is no folder {self.data}; `data` must hold mnist, cifar-10-batches-bin, "
                             "mini-imagenet or mini-domainnet.")  # fmt: skip


@dataclass(frozen=True)
class FullSettings(ImageSettings, Settings):
    """The same, with the paper's Split-MNIST row on Fashion-MNIST, and its other rows where `data` holds the files."""


PRESETS = {
    "quick": Settings(seeds=2, hidden=8, steps=4, two_task_steps=4, long_steps=4, batch=8, capacity=20, examples=400),
    "default": Settings(),
    "thorough": Settings(seeds=10),
    "full": FullSettings(),
}
