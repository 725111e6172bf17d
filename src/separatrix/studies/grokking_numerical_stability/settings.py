"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from typing import Literal

Operation = Literal["add", "subtract", "multiply", "divide"]


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's reduced scale: p = 59 in place of the paper's 113, everything else as published."""

    seeds: int = 5
    p: int = 59
    operations: tuple[Operation, ...] = ("add",)
    operation: Operation = "add"
    width: int = 200
    output_scale: float = 1.0  # alpha; the learning rate is divided by its square
    # Softmax Collapse (F1, F2, F4, F6): AdamW with an epsilon small enough that its updates outlive the gradient
    fractions: tuple[float, ...] = (0.7,)
    fraction: float = 0.7
    steps: int = 3_000
    rate: float = 0.005
    b2: float = 0.99
    epsilon: float = 1e-25
    # perpGrad (F3): the values that the authors' inner optimiser really uses
    perp_fraction: float = 0.5
    perp_rate: float = 0.01
    perp_steps: int = 200
    decay: float = 1.0
    decay_steps: int = 400
    mask_from: int = 60
    # sparse parity (F5)
    parity_noise: int = 40
    parity_samples: int = 2_000
    parity_rate: float = 0.01
    parity_steps: int = 20_000
    # transformer (full)
    transformer_width: int = 128
    transformer_rate: float = 1e-3
    transformer_steps: int = 5_000


PRESETS = {
    "quick": Settings(
        seeds=2,
        p=11,
        width=16,
        steps=40,
        perp_steps=20,
        decay_steps=20,
        mask_from=5,
        parity_noise=5,
        parity_samples=60,
        parity_steps=40,
        transformer_width=16,
        transformer_steps=20,
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(
        p=113,
        operations=("add", "multiply", "subtract"),
        fractions=(0.4, 0.6, 0.7),
        steps=80_000,
        rate=0.01,
        perp_fraction=0.4,
        decay_steps=4_000,
        parity_steps=80_000,
    ),
}


def grid(s: Settings, arm: str):
    """In the full preset: every operation, and every training fraction where collapse is studied."""
    axes = {"operation": s.operations, "fraction": s.fractions}
    if "perp" in arm or "adamw" in arm:
        del axes["fraction"]
    if "parity" in arm or "transformer" in arm:
        axes = {}
    return {name: values for name, values in axes.items() if len(values) > 1}
