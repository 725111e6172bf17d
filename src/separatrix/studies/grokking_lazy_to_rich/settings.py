"""What the study varies and holds fixed, at each preset."""

from dataclasses import dataclass

import numpy as np

TARGET_POWER = 0.75  # E y^2 of the single-index target
TERMS = ("variance", "misalignment", "linear_power")
FITTED = 0.1  # of the target's power, for training and test loss


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's reduced scale, D = 50 and N = 200, with five seeds in place of one.

    Steps to a loss are measured on the exact population loss, which needs no test set. The comparison of its three
    terms with a sample (F4a) uses 40,000 points in place of the card's 1,000, whose sampling noise alone exceeds its
    3 %. The simulation beside the mean-field theory has one seed for each seed of the theory (6 on the card). Rates and
    loss levels of the networks on images and modular addition were fixed after one pilot seed each.
    """

    seeds: int = 5
    dim: int = 50
    width: int = 200
    rate: float = 2.0
    eps: float = 0.25
    steps: int = 6_000
    # F1, F4: output scales with few more examples than needed, and with fewer
    samples: int = 225
    alphas: tuple[float, ...] = (0.05, 0.2, 0.5)
    scarce: int = 200
    lazy_alphas: tuple[float, ...] = (0.5, 1.0, 3.0, 10.0)
    # F2, F3
    alpha: float = 0.5
    curvatures: tuple[float, ...] = (0.05, 0.25, 1.0, 4.0)
    few: int = 60
    many: int = 1_500
    # F4, F6
    test_samples: int = 40_000
    lazy_alpha: float = 10.0
    network_steps: int = 200
    # F5: mean-field theory
    field_dim: int = 1_500
    field_nu: float = 3.0
    field_width: int = 2
    field_eps: float = 0.5
    field_eta: float = 0.15
    field_steps: int = 25
    field_draws: int = 20_000
    # F7: networks; half the squared error to one-hot targets, whose power is then 1/2
    network_alphas: tuple[float, ...] = (0.5, 2.0, 8.0)
    images: str = "digits"
    image_samples: int = 200
    image_width: int = 100
    image_rate: float = 0.5
    image_steps: int = 8_000
    p: int = 23
    modular_width: int = 100
    modular_fraction: float = 0.8
    modular_rate: float = 1.5
    modular_steps: int = 12_000
    transformer_width: int = 128
    transformer_rate: float = 0.05
    transformer_steps: int = 50_000
    # F8: phase diagram
    phase_alphas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    phase_rates: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    phase_steps: int = 4_000


PRESETS = {
    "quick": Settings(
        seeds=2,
        dim=6,
        width=12,
        rate=1.0,
        steps=60,
        samples=12,
        scarce=10,
        few=4,
        many=40,
        test_samples=500,
        network_steps=10,
        field_dim=20,
        field_steps=3,
        field_draws=200,
        image_samples=20,
        image_width=8,
        image_steps=20,
        p=5,
        modular_width=8,
        modular_steps=20,
        transformer_width=8,
        transformer_steps=4,
        phase_alphas=(0.2, 1.0, 5.0),
        phase_rates=(0.5, 1.0),
        phase_steps=40,
    ),
    "default": Settings(),
    "thorough": Settings(seeds=20),  # some effects spread widely over teachers and samples
    "full": Settings(
        dim=100,
        width=500,
        samples=450,
        scarce=400,
        few=120,
        many=6_000,
        steps=100_000,
        images="fashion",
        image_samples=1_000,
        image_width=200,
        image_steps=100_000,
        p=59,
        modular_width=500,
        modular_steps=50_000,
        phase_alphas=tuple(float(a) for a in np.round(np.geomspace(0.05, 10.0, 16), 4)),
        phase_rates=tuple(float(r) for r in np.round(np.geomspace(0.25, 32.0, 16), 4)),
        phase_steps=20_000,
    ),
}
