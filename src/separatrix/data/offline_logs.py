"""Readers and writers of logged transitions: Minari, D4RL's HDF5, and tables."""

import functools
import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .transitions import LoggedEpisodes, Transitions, checked_log

__all__ = ["read_log", "write_hdf5", "write_minari", "write_table"]

_KEYS = {
    "observation": ("observations", "observation", "obs", "states"),
    "action": ("actions", "action"),
    "reward": ("rewards", "reward"),
    "next_observation": ("next_observations", "next_observation", "next_obs", "next_states"),
    "terminal": ("terminals", "terminal", "terminations", "done", "dones"),
    "timeout": ("timeouts", "timeout", "truncations", "truncated"),
}


def read_log(
    source: str | Path | Mapping[str, Any] | Any, *, action_range: tuple[Any, Any] | None = None
) -> LoggedEpisodes:
    """Read logged transitions from what people have.

    Args:
        source: the id of a Minari data set (such as `mujoco/hopper/medium-v0`); a file `.hdf5` with D4RL's keys; a
            table `.parquet` or `.csv`, or a data frame, with columns `observation_0...`, `action_0...`, `reward`,
            `terminal` and, if known, `timeout` and `next_observation_0...`; a mapping of arrays with D4RL's keys; or a
            `LoggedEpisodes`, which is checked.
        action_range: `(low, high)` of the actions, which are then scaled to [-1, 1]. Minari's data sets bring theirs.

    Returns:
        The log, checked. Where next observations are missing they are taken from the row after, and the last row of an
        episode that was broken off is dropped, since what followed it is unknown.

    Raises:
        ValueError: if the log cannot be read or learnt from; the message says why.
        TypeError: if the source is of no such kind.
        FileNotFoundError: if there is no such file.
        ImportError: if a library for this format is missing; the message says which.

    Examples:
        >>> import numpy as np
        >>> log = read_log({"observations": np.arange(4.0)[:, None], "actions": np.zeros((4, 1)), "rewards": np.ones(4),
        ...                 "terminals": [False, True, False, False], "timeouts": [False, False, False, True]})
        >>> log.observation[:, 0].tolist(), log.next_observation[:, 0].tolist(), log.returns().tolist()
        ([0.0, 1.0, 2.0], [1.0, 1.0, 3.0], [2.0, 1.0])
    """
    if isinstance(source, LoggedEpisodes):
        log = source
    elif isinstance(source, Mapping):
        log = _from_arrays(source, "log")
    elif hasattr(source, "columns"):
        log = _from_table(source, "table")
    elif isinstance(source, Transitions):
        raise TypeError(
            "transitions have no order, so their episodes are unknown; pass the log they come from, a `LoggedEpisodes` "
            'such as `collect(...).logs["medium"]`.'
        )
    elif not isinstance(source, str | Path):
        raise TypeError(
            "a log is read from a Minari id, a path, a data frame, a mapping of arrays or a `LoggedEpisodes`; got "
            f"{type(source).__name__}."
        )
    else:
        text = str(source)
        suffix = Path(text).suffix.lower()
        if suffix in (".hdf5", ".h5"):
            log = _from_hdf5(Path(text))
        elif suffix in (".parquet", ".csv"):
            log = _from_table(_table(Path(text), suffix), text)
        else:
            log, found = _from_minari(text)
            action_range = action_range or found
    if action_range is not None:
        low, high = (np.asarray(end, float) for end in action_range)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise ValueError(f"`action_range` must be finite with low < high; got {action_range}.")
        log = log._replace(action=2 * (log.action - low) / (high - low) - 1)
    return checked_log(log)


def _require(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"{module} is missing; install the extra: pip install 'separatrix[{extra}]'") from None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def _table(path: Path, suffix: str) -> Any:
    import pandas as pd

    _existing(path)
    if suffix == ".parquet":
        _require("pyarrow", "parquet")
    try:
        return pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is not a whole {suffix[1:]} table: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _from_hdf5(path: Path) -> LoggedEpisodes:
    h5py = _require("h5py", "rl")
    _existing(path)
    try:
        with h5py.File(path, "r") as file:
            names = {name for group in _KEYS.values() for name in group}
            arrays = {name: np.asarray(file[name]) for name in file if name in names}
    except OSError as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {_first_line(error)}") from error
    return _from_arrays(arrays, str(path))


def _from_table(table: Any, name: str) -> LoggedEpisodes:
    arrays: dict[str, Any] = {}
    columns = [str(column) for column in table.columns]
    for field, words in _KEYS.items():
        for word in words:
            if word in columns:
                arrays[word] = np.asarray(table[word])
            numbered = sorted(
                (c for c in columns if c.startswith(f"{word}_") and c[len(word) + 1 :].isdigit()),
                key=lambda c: int(c.rsplit("_", 1)[1]),
            )
            if numbered and field in ("observation", "action", "next_observation"):
                arrays[word] = np.asarray(table[numbered])
                break
    return _from_arrays(arrays, name)


def _from_arrays(arrays: Mapping[str, Any], name: str) -> LoggedEpisodes:
    given: dict[str, Any] = {}
    for field, words in _KEYS.items():
        for word in words:
            if word in arrays:
                given[field] = arrays[word]
                break
    for field in ("observation", "action", "reward"):
        if field not in given:
            raise ValueError(f"{name}: there are no {_KEYS[field][0]}; they may be called {', '.join(_KEYS[field])}.")
    if "terminal" not in given and "timeout" not in given:
        raise ValueError(f"{name}: there are neither terminals nor time-outs, so no episode ends.")
    found = {field: _numbers(values, name, _KEYS[field][0]) for field, values in given.items()}
    reward = found["reward"]
    if reward.ndim == 0 or reward.size != len(reward):
        raise ValueError(f"{name}: reward must have shape (rows,), one number a row; got {reward.shape}.")
    rows, reward = len(reward), reward.reshape(-1)
    observation, action = _matrix(found["observation"]), _matrix(found["action"])
    flags = {f: _flags(found.get(f, np.zeros(rows)), name, _KEYS[f][0]) for f in ("terminal", "timeout")}
    if len(flags["timeout"]) == len(flags["terminal"]):
        flags["timeout"] &= ~flags["terminal"]
    if "next_observation" in found:
        return LoggedEpisodes(observation, action, reward, _matrix(found["next_observation"]), **flags, name=name)
    following = np.concatenate([observation[1:], observation[-1:]]) if rows else observation
    log = LoggedEpisodes(observation, action, reward, following, **flags, name=name)
    if len(flags["terminal"]) != rows or len(observation) != rows or len(action) != rows or not rows:
        return log  # refused by the check, which says why
    following[log.terminal] = observation[log.terminal]  # nothing follows; the value there is never used
    known = ~log.timeout
    known[-1] &= log.terminal[-1]
    broken = np.flatnonzero(~known)
    kept = LoggedEpisodes(*(a[known] for a in log[:6]), name=name)
    timeout = kept.timeout.copy()
    before = np.searchsorted(np.flatnonzero(known), broken) - 1  # the row that now ends each broken episode
    timeout[before[before >= 0]] = ~kept.terminal[before[before >= 0]]
    return kept._replace(timeout=timeout)


def _numbers(values: Any, name: str, words: str) -> np.ndarray:
    """An array of floats, from rows that may be arrays of their own."""
    try:
        array = np.asarray(values)
        if array.dtype == object and array.ndim:
            array = np.stack([np.asarray(row, float) for row in array]) if len(array) else np.zeros((0, 0))
        return np.array(array, float)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {words} must be numbers, as many in each row ({_first_line(error)}).") from error


def _flags(numbers: np.ndarray, name: str, words: str) -> np.ndarray:
    flags = numbers.reshape(-1)
    odd = np.flatnonzero(~np.isin(flags, (0, 1)))
    if len(odd):
        raise ValueError(f"{name}: {words} must be true or false, 1 or 0; got {flags[odd[0]]:g} in row {odd[0]}.")
    return flags == 1


def _matrix(array: np.ndarray) -> np.ndarray:
    return array[:, None] if array.ndim == 1 else array


def _from_minari(name: str) -> tuple[LoggedEpisodes, tuple[Any, Any] | None]:
    minari = _require("minari", "rl")
    try:
        data = minari.load_dataset(name)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ValueError(
            f"there is no Minari data set {name!r} on this machine ({_first_line(error)}); fetch it with: minari "
            f"download {name}"
        ) from error
    parts: dict[str, list[np.ndarray]] = {key: [] for key in LoggedEpisodes._fields[:6]}
    for episode in data.iterate_episodes():
        observations = _observations(episode.observations, name)
        rows = len(episode.rewards)
        if len(observations) != rows + 1:
            raise ValueError(
                f"{name}: an episode has {rows} rewards and {len(observations)} observations, not one more."
            )
        terminal, timeout = np.asarray(episode.terminations, bool), np.asarray(episode.truncations, bool)
        timeout = timeout & ~terminal
        if rows and not (terminal[-1] or timeout[-1]):
            timeout[-1] = True
        actions, rewards = (
            _numbers(v, name, w) for v, w in ((episode.actions, "actions"), (episode.rewards, "rewards"))
        )
        columns = (observations[:-1], _matrix(actions), rewards)
        for key, array in zip(parts, (*columns, observations[1:], terminal, timeout), strict=True):
            parts[key].append(array)
    if not parts["reward"]:
        raise ValueError(f"{name}: there is no episode in it.")
    joined = {key: np.concatenate(arrays) for key, arrays in parts.items()}
    space = data.action_space
    low, high = getattr(space, "low", None), getattr(space, "high", None)
    bounded = low is not None and high is not None and np.isfinite([low, high]).all()
    return LoggedEpisodes(**joined, name=name), (low, high) if bounded else None


def _observations(value: Any, name: str) -> np.ndarray:
    if isinstance(value, Mapping):
        if "observation" not in value:
            raise ValueError(f"{name}: observations are a dictionary without the key `observation`.")
        parts = [_numbers(value[key], name, key) for key in ("observation", "desired_goal") if key in value]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    return _matrix(_numbers(value, name, "observations"))


def write_hdf5(log: LoggedEpisodes, path: str | Path) -> None:
    """Write a log as HDF5 with D4RL's keys.

    Args:
        log: the log.
        path: the file.
    """
    h5py = _require("h5py", "rl")
    with h5py.File(path, "w") as file:
        for field in LoggedEpisodes._fields[:6]:
            file.create_dataset(_KEYS[field][0], data=getattr(log, field), compression="gzip")


def write_table(log: LoggedEpisodes, path: str | Path) -> None:
    """Write a log as a table, `.parquet` or `.csv`, one row a transition.

    Args:
        log: the log.
        path: the file.

    Raises:
        ValueError: if the name ends otherwise.
    """
    import pandas as pd

    columns: dict[str, np.ndarray] = {}
    for field in ("observation", "action", "next_observation"):
        columns |= {f"{field}_{i}": column for i, column in enumerate(getattr(log, field).T)}
    table = pd.DataFrame({**columns, "reward": log.reward, "terminal": log.terminal, "timeout": log.timeout})
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".parquet":
        _require("pyarrow", "parquet")
        table.to_parquet(path, index=False)
    else:
        raise ValueError(f"a table is written as .parquet or .csv; got {str(path)!r}")


def write_minari(
    log: LoggedEpisodes,
    name: str,
    *,
    action_range: tuple[Sequence[float], Sequence[float]] | None = None,
    scores: tuple[float, float] | None = None,
    description: str = "",
) -> None:
    """Write a log as a Minari data set.

    Args:
        log: the log, actions in [-1, 1].
        name: its id, such as `pendulum/medium-v0`; it must be new.
        action_range: `(low, high)` of the environment's own actions, to which they are scaled back; [-1, 1] by default.
        scores: returns of a random and of an expert policy.
        description: in words.

    Raises:
        ValueError: if Minari refuses the data set.
    """
    minari, gymnasium = _require("minari", "rl"), _require("gymnasium", "rl")
    from minari.data_collector import EpisodeBuffer as Buffer

    make_buffer: Any = Buffer  # its annotations say lists, its code takes arrays
    size = log.action.shape[1]
    low, high = (np.broadcast_to(np.asarray(end, np.float32), (size,)) for end in action_range or (-1.0, 1.0))
    action = (low + (np.clip(log.action, -1, 1) + 1) / 2 * (high - low)).astype(np.float32)
    bounds = [*log.starts, len(log.reward)]
    buffers = []
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        part = slice(first, last)
        buffers.append(
            make_buffer(
                id=number,
                observations=np.concatenate([log.observation[part], log.next_observation[last - 1 : last]]).astype(
                    np.float32
                ),
                actions=action[part],
                rewards=log.reward[part],
                terminations=log.terminal[part],
                truncations=log.timeout[part],
            )
        )
    box = functools.partial(gymnasium.spaces.Box, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it misses an author and a link to code, which are optional
        stored = minari.create_dataset_from_buffers(
            name,
            buffers,
            observation_space=box(-np.inf, np.inf, (log.observation.shape[1],)),
            action_space=box(low, high),
            description=description or None,
        )
    if scores is not None:  # without an environment of gymnasium, Minari drops the scores that it is given
        stored.storage.update_metadata({"ref_min_score": float(scores[0]), "ref_max_score": float(scores[1])})
