"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from typing import Literal

Operation = Literal["add", "subtract", "multiply", "divide"]


@dataclass(frozen=True)
class Settings:
    """Defaults are a reduced scale: p = 59 in place of the paper's 113; `full` is the grid of the paper."""

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
    stable_rate: float = 0.005  # StableMax and the squared error; in `full` other values than the softmax has
    stable_b2: float = 0.99
    stable_steps: int = 3_000
    # perpGrad (F3): the values that the authors' inner optimiser really uses
    perp_fraction: float = 0.5
    perp_rate: float = 0.01
    perp_steps: int = 200
    decay: float = 1.0
    decay_steps: int = 400
    mask_from: int = 60
    sgd_rate: float = 10.0  # with StableMax, in float64, as the authors run it
    sgd_momentum: float = 0.8
    sgd_steps: int = 500
    # sparse parity (F5)
    parity_noise: int = 40
    parity_samples: int = 2_000
    parity_rate: float = 0.01
    parity_steps: int = 20_000
    # a few images (F7)
    image_set: Literal["digits", "fashion-mnist"] = "digits"
    image_samples: int = 200
    image_steps: int = 2_000
    # transformer (full)
    transformer_width: int = 128
    transformer_rate: float = 1e-3
    transformer_decay: float = 1.5
    transformer_steps: int = 5_000


PRESETS = {
    "quick": Settings(
        seeds=2,
        p=11,
        width=16,
        steps=40,
        stable_steps=40,
        perp_steps=20,
        sgd_steps=20,
        decay_steps=20,
        mask_from=5,
        parity_noise=5,
        parity_samples=60,
        parity_steps=40,
        image_samples=50,
        image_steps=20,
        transformer_width=16,
        transformer_steps=20,
    ),
    "default": Settings(),
    "thorough": Settings(seeds=10),
    "full": Settings(
        p=113,
        operations=("add", "multiply"),
        fractions=(0.4, 0.6, 0.7),  # Fig. 2
        fraction=0.4,
        steps=20_000,
        rate=5e-4,
        stable_rate=0.01,  # Figs. 1 and 4
        stable_b2=0.999,
        stable_steps=100_000,
        perp_fraction=0.4,  # Fig. 6
        perp_rate=0.005,
        perp_steps=500,
        decay_steps=4_000,
        parity_steps=100_000,
    ),
}


def grid(s: Settings, arm: str):
    """In the full preset: training fractions where the softmax collapses, operations where StableMax learns."""
    axes = {}
    if arm in ("softmax-float16", "softmax-float32", "softmax-float64"):
        axes = {"fraction": s.fractions}
    elif arm == "stablemax":
        axes = {"operation": s.operations}
    return {name: values for name, values in axes.items() if len(values) > 1}
