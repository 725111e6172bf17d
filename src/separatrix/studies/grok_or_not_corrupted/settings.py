"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass
from typing import Literal

Operation = Literal["add", "multiply"]
PRUNED = tuple(i / 10 for i in range(10))


@dataclass(frozen=True)
class Settings:
    """Sizes are the paper's; numbers of steps are cut to fit the time.

    The default preset takes 800 steps (published: 1,000), and 400 with weight decay (500). The thorough preset takes
    the published numbers, but 400 steps with dropout (2,000) and 2,500 with weight decay 20 (5,000); its phase diagrams
    are 5 x 5 at p = 47 with 256 neurons and 600 steps (17 x 17, p = 97, 500 neurons, 2,000 steps).
    """

    seeds: int = 5
    p: int = 97
    width: int = 500
    rate: float = 0.01
    train_fraction: float = 0.5
    corruption: float = 0.35
    steps: int = 800  # without regularisation (F1)
    decay_steps: int = 400  # with weight decay (F2, F3)
    clean_steps: int = 100
    forgetting_steps: int = 2_500
    dropout: float = 0.6
    dropout_steps: int = 400
    # mini-batches, with and without batch normalisation (F4); the rate goes with the root of the batch size
    batch_size: int = 64
    batch_fraction: float = 0.65
    batch_corruption: float = 0.2
    batch_steps: int = 2_000
    # phase diagrams (F6)
    diagram_p: int = 47
    diagram_width: int = 256
    diagram_steps: int = 600
    diagram_decay: float = 15.0
    diagram_fractions: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    diagram_corruptions: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    # transformer (full)
    transformer_width: int = 128
    transformer_decay: float = 0.5
    transformer_steps: int = 1_000


LINSPACE = tuple(round(0.1 + 0.05 * i, 2) for i in range(17))
PRESETS = {
    "quick": Settings(
        seeds=2,
        p=7,
        width=16,
        steps=20,
        decay_steps=20,
        clean_steps=10,
        forgetting_steps=20,
        dropout_steps=10,
        batch_size=8,
        batch_steps=20,
        diagram_p=5,
        diagram_width=8,
        diagram_steps=10,
        diagram_fractions=(0.4, 0.7),
        diagram_corruptions=(0.2, 0.5),
        transformer_width=16,
        transformer_steps=10,
    ),
    "default": Settings(),
    "thorough": Settings(steps=1_000, decay_steps=500),
    "full": Settings(
        steps=1_000,
        decay_steps=500,
        forgetting_steps=5_000,
        dropout_steps=2_000,
        diagram_p=97,
        diagram_width=500,
        diagram_steps=2_000,
        diagram_fractions=LINSPACE,
        diagram_corruptions=LINSPACE,
    ),
}
