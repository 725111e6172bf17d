"""Which fate a network met on partly wrong labels, told from its accuracies."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float, Int

from separatrix.data.corruption import clean_floor

__all__ = ["PHASES", "TwoStages", "classify_phase", "two_stage_times"]

PHASES = ("coexistence", "partial inversion", "full inversion", "memorisation", "forgetting", "confusion")
"""Names of the phases; `classify_phase` returns positions in this tuple."""


def classify_phase(
    train: ArrayLike, test: ArrayLike, corruption: ArrayLike, num_classes: int, tolerance: float = 0.05
) -> Int[np.ndarray, "..."]:
    """Classify final accuracies on training labels, of which a known fraction is wrong, and on clean test data.

    With `floor = 1 - corruption + corruption / num_classes`, the training accuracy of a network that always gives the
    true class:

    | phase | training accuracy | test accuracy |
    | --- | --- | --- |
    | coexistence | near 1 | near 1 |
    | partial inversion | between | near 1 |
    | full inversion | near the floor, or below | near 1 |
    | memorisation | near 1 | not near 1 |
    | forgetting | near chance | near chance |
    | confusion | all the rest | |

    Near means within `tolerance`, chance is `1 / num_classes`. Where the corruption is smaller than the tolerance,
    coexistence and full inversion overlap, and coexistence is returned.

    Args:
        train: accuracy on the training labels, in [0, 1].
        test: accuracy on the test labels.
        corruption: fraction of the training labels that was redrawn.
        num_classes: number of classes.
        tolerance: see above.

    Returns:
        Positions in `PHASES`, in the common shape of the arguments; -1 where an accuracy is NaN.

    References:
        Doshi, Das, He, Gromov (2024), ICLR, arXiv 2310.13061, section 3.

    Examples:
        >>> [PHASES[i] for i in classify_phase([0.98, 0.79, 0.654, 0.009], [0.98, 1.0, 1.0, 0.011], 0.35, 97)]
        ['coexistence', 'partial inversion', 'full inversion', 'forgetting']
    """
    train, test, floor = np.broadcast_arrays(train, test, clean_floor(np.asarray(corruption), num_classes))
    chance = 1 / num_classes + tolerance
    fits, generalises = train >= 1 - tolerance, test >= 1 - tolerance
    inverted = train <= floor + tolerance
    dead = (train <= chance) & (test <= chance)
    conditions = [np.isnan(train) | np.isnan(test), dead, generalises & fits, generalises & inverted, generalises, fits]
    return np.select(conditions, [-1, 4, 0, 2, 1, 3], 5)


class TwoStages(NamedTuple):
    """Steps of the two stages of training with a regulariser; NaN for what did not happen.

    Attributes:
        grok: first recorded step at which the test accuracy reaches its level.
        unlearn: first recorded step, after the wrong labels had been memorised, at which the accuracy on them is back
            at its level, or below.
    """

    grok: Float[np.ndarray, "..."]
    unlearn: Float[np.ndarray, "..."]


def two_stage_times(
    steps: ArrayLike,
    test: ArrayLike,
    corrupted: ArrayLike,
    grok_level: float = 0.95,
    unlearn_level: float = 0.5,
    memorised_level: float = 0.5,
) -> TwoStages:
    """When a network generalises, and when it gives up the wrong labels that it had memorised.

    Args:
        steps: recorded steps, increasing, shape `(steps,)`.
        test: accuracy on the test data, steps on the last axis.
        corrupted: accuracy on the corrupted training labels, likewise.
        grok_level: test accuracy that counts as generalised.
        unlearn_level: accuracy on corrupted labels that counts as given up.
        memorised_level: accuracy on corrupted labels, above which they count as memorised before.

    Returns:
        Both steps, in the common shape without the last axis.

    Examples:
        >>> times = two_stage_times([50, 100, 150, 200], [0.0, 0.5, 0.96, 1.0], [0.99, 0.98, 0.6, 0.1])
        >>> float(times.grok), float(times.unlearn)
        (150.0, 200.0)
    """
    steps, test, corrupted = np.asarray(steps), np.asarray(test), np.asarray(corrupted)
    memorised = np.maximum.accumulate(corrupted > memorised_level, axis=-1)
    return TwoStages(_first(steps, test >= grok_level), _first(steps, memorised & (corrupted <= unlearn_level)))


def _first(steps: np.ndarray, reached: np.ndarray) -> np.ndarray:
    return np.where(reached.any(axis=-1), steps[np.argmax(reached, axis=-1)], np.nan)
