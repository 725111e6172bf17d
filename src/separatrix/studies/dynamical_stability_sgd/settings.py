"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Settings:
    """Sizes and steps are the card's, which are the paper's but for the number of steps and learning rates.

    The rates of gradient descent for the ReLU network are those of SGD times `sqrt(dim)`, as in the paper.
    `a ~ N(0, .1)` of the balancing experiment is read as a variance.
    """

    seeds: int = 5
    # F1: diagonal linear network
    dim: int = 1_000
    samples: int = 300
    rates: tuple[float, ...] = (0.004, 0.0158, 0.0631, 0.1259)
    clip: float = 50.0
    sgd_steps: int = 80_000
    gd_steps: int = 8_000
    # F2: random gradients
    gradients: int = 6
    gradient_dim: int = 10
    margins: tuple[float, ...] = (0.95, 1.05)  # learning rate over the threshold
    particles: int = 1_000
    moment_steps: int = 300
    # F3: two-layer ReLU network
    relu_dim: int = 100
    relu_width: int = 100
    relu_rates: tuple[float, ...] = (1e-4, 1e-3, 6e-3)
    relu_clip: float = 100.0
    relu_sgd_steps: int = 60_000
    relu_gd_steps: int = 4_000
    # F4: balancing
    ratios: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    balance_rate: float = 0.05
    balance_clip: float = 200.0
    balance_steps: int = 5_000
    # F5: batch size
    batch_rate: float = 0.0631
    batch_steps: int = 20_000
    # F6: multilayer perceptron on images (full)
    images: Literal["digits", "fashion-mnist"] = "digits"
    image_samples: int = 1_000
    image_width: int = 500
    image_rates: tuple[float, ...] = (0.01, 0.03, 0.1)
    image_batch: int = 4
    image_batches: tuple[int, ...] = (4,)
    image_sgd_steps: int = 100_000
    image_gd_steps: int = 20_000
    image_chunk: int = 8


PRESETS = {
    "quick": Settings(
        seeds=2,
        dim=20,
        samples=8,
        rates=(0.004, 0.1259),
        sgd_steps=60,
        gd_steps=40,
        gradients=3,
        gradient_dim=4,
        particles=50,
        moment_steps=40,
        relu_dim=6,
        relu_width=5,
        relu_rates=(1e-3, 6e-3),
        relu_sgd_steps=40,
        relu_gd_steps=40,
        ratios=(1.0, 4.0),
        balance_steps=40,
        batch_steps=40,
        image_samples=12,
        image_width=8,
        image_rates=(0.01, 0.1),
        image_sgd_steps=20,
        image_gd_steps=20,
    ),
    "default": Settings(),
    # the loss at the two largest rates falls slowly: five times the card's steps show where it goes
    "thorough": Settings(sgd_steps=400_000),
    "full": Settings(
        rates=tuple(float(r) for r in np.logspace(-2.4, -0.9, 6)),
        gd_steps=80_000,
        relu_rates=(1e-4, 3e-4, 1e-3, 3e-3, 6e-3),
        relu_sgd_steps=200_000,
        relu_gd_steps=20_000,
        images="fashion-mnist",
        image_batches=(1, 4, 16, 64),
    ),
}


def grid(s: Settings, arm: str):
    """In the full preset: batch sizes of SGD on images."""
    return {"image_batch": s.image_batches} if arm == "images-sgd" and len(s.image_batches) > 1 else {}
