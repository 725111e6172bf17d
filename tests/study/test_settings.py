"""`key=value` is typed by the dataclass, and refused in one line where it does not fit."""

from dataclasses import dataclass
from typing import Literal

import pytest

from separatrix.study.errors import UsageError
from separatrix.study.settings import describe, with_overrides


@dataclass(frozen=True)
class Settings:
    seeds: int = 5
    batch_steps: int = 10
    rate: float = 0.1
    rates: tuple[float, ...] = (0.1,)
    mode: Literal["a", "b"] = "a"
    limit: int | None = None
    on: bool = False

    def __post_init__(self):
        if self.seeds < 0:
            raise ValueError(f"`seeds` must not be negative; got {self.seeds}.")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("seeds=7", {"seeds": 7}),
        ("rate=1e-3", {"rate": 1e-3}),
        ("rate=2", {"rate": 2.0}),
        ("rates=0.1,1", {"rates": (0.1, 1.0)}),
        ("rates=3", {"rates": (3.0,)}),
        ("mode=b", {"mode": "b"}),
        ("limit=None", {"limit": None}),
        ("limit=4", {"limit": 4}),
        ("on=True", {"on": True}),
        (" seeds = 7", {"seeds": 7}),
    ],
)
def test_values_take_the_type_of_their_field(assignment, expected):
    changed = describe(with_overrides(Settings(), [assignment]))
    assert changed == {**describe(Settings()), **expected}
    assert type(next(iter(expected.values()))) is type(changed[next(iter(expected))])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seedz=7", r"there is no setting 'seedz'; did you mean 'seeds'\?"),
        ("seeds", "--set needs key=value; got 'seeds'"),
        ("seeds=1.5", "setting 'seeds' must be int; got '1.5'"),
        ("seeds=True", "setting 'seeds' must be int; got 'True'"),
        ("rate=fast", "setting 'rate' must be float; got 'fast'"),
        ("rates=a,b", r"setting 'rates' must be tuple\[float, \.\.\.\]; got 'a,b'"),
        ("mode=c", r"setting 'mode' must be Literal\['a', 'b'\]; got 'c'"),
        ("batch_steps=0", "setting 'batch_steps' must be at least 1; got '0'"),
        ("seeds=-1", "`seeds` must not be negative; got -1."),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(assignment, message):
    with pytest.raises(UsageError, match=f"^{message}$"):
        with_overrides(Settings(), [assignment])
