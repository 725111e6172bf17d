"""Two runs side by side: where their settings and their verdicts differ."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from separatrix.study.finding import Verdict

__all__ = ["Difference", "settings_differences", "verdict_pairs"]

ABSENT = "–"


class Difference(NamedTuple):
    """One setting in two runs; `differs` is whether the values do."""

    name: str
    first: str
    second: str
    differs: bool


def settings_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Put settings beside each other, those that differ first.

    Args:
        first: of a run, as in its manifest.
        second: of another.

    Example:
        >>> [(d.name, d.differs) for d in settings_differences({"a": 1, "b": 2}, {"a": 1, "b": 3})]
        [('b', True), ('a', False)]
    """
    rows = []
    for name in dict.fromkeys([*first, *second]):
        differs = name not in first or name not in second or first[name] != second[name]
        shown = [str(side[name]) if name in side else ABSENT for side in (first, second)]
        rows.append(Difference(name, shown[0], shown[1], differs))
    return sorted(rows, key=lambda row: not row.differs)


def verdict_pairs(
    first: Sequence[Verdict], second: Sequence[Verdict]
) -> list[tuple[str, Verdict | None, Verdict | None]]:
    """Put verdicts on the same finding beside each other.

    Args:
        first: of a run.
        second: of another.

    Returns:
        Finding id and the verdict of either run, None where it does not test the finding.
    """
    sides = [{verdict.finding: verdict for verdict in side} for side in (first, second)]
    return [(name, sides[0].get(name), sides[1].get(name)) for name in dict.fromkeys([*sides[0], *sides[1]])]
