"""Audit of logged transitions: where the data end, what would be bootstrapped from nothing, what can be trusted.

Off-policy methods learn `Q(s, a) = r + gamma Q(s', policy(s'))`. Where the pair `(s', policy(s'))` is far from every
logged pair, its value was never trained: it is bootstrapped from the void. The audit measures how often that happens,
and what it does to the estimate of the return, by giving those pairs the worst and the best value that the rewards
allow.
"""

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float

from separatrix.data.offline_logs import read_log
from separatrix.data.transitions import LoggedEpisodes
from separatrix.envs.episodes import Episodes
from separatrix.study.files import write_atomic

from .actor_critic import Agent
from .policies import Acting
from .transitions import logged

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Audit", "audit"]

REFERENCE_ROWS, QUERY_ROWS = 50_000, 10_000
FEW = 10  # episodes, fewer of which no bootstrap over them can be trusted


class Audit(NamedTuple):
    """What an audit found.

    Attributes:
        name: of the log.
        rows: transitions.
        episodes: episodes.
        unsupported: share of the pairs `(next observation, policy's action)` that are far from the data.
        radius: distance beyond which a pair is far, in standard deviations of the data.
        first_unsupported: median step of an episode's first such pair; NaN if most episodes have none.
        value: discounted return from the starts: `estimate`, `low` and `high` (95 % bootstrap over episodes),
            `pessimistic` and `optimistic` (unsupported pairs get the least and the greatest value that is possible:
            the least or the greatest reward for ever, or 0 if that is more extreme and episodes can terminate).
        extent: for each number of observation and action, the logged range, and the share of policy's pairs outside it.
        trust: one word. `none` if the estimate is impossible, or if what is unknown, the interval and the values of
            unsupported pairs together, spans half of all that is possible; `limited` from a tenth of it, or if there
            are fewer than 10 episodes; else `high`.
        notes: what a reader should know.
        distances: of the policy's pairs to the nearest logged pair, shape `(pairs,)`.
        plane: coordinates of logged and of the policy's pairs in the plane of the largest variance.
    """

    name: str
    rows: int
    episodes: int
    unsupported: float
    radius: float
    first_unsupported: float
    value: dict[str, float]
    extent: "pd.DataFrame"
    trust: str
    notes: list[str]
    distances: Float[np.ndarray, " pairs"]
    plane: tuple[Float[np.ndarray, "rows 2"], Float[np.ndarray, "pairs 2"]]

    def text(self) -> str:
        """Return the audit in a few lines."""
        v = self.value
        lines = [
            f"{self.name}: {self.rows:,} transitions in {self.episodes:,} episodes",
            f"{self.unsupported:.1%} of the next pairs are farther than {self.radius:.2g} from every logged pair",
            f"value of the starts: {v['estimate']:.4g} (95 % over episodes: {v['low']:.4g} to {v['high']:.4g})",
            f"with unsupported pairs at their worst and best: {v['pessimistic']:.4g} to {v['optimistic']:.4g}",
            f"trust in the estimate: {self.trust}",
        ]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])

    def figure(self) -> "Figure":
        """Draw the pairs in the plane of the largest variance, and the distances of the policy's pairs."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        logged, asked = self.plane
        far = self.distances > self.radius
        left.plot(*logged.T, ".", ms=2, color="#999999", label="logged")
        left.plot(*asked[~far].T, ".", ms=2, color="#0072B2", label="policy, supported")
        left.plot(*asked[far].T, ".", ms=3, color="#D55E00", label="policy, unsupported")
        left.set(xlabel="first component", ylabel="second component")
        left.legend(markerscale=4, fontsize=8)
        right.hist(self.distances, bins=60, color="#0072B2")
        right.axvline(self.radius, color="#D55E00", label="radius")
        right.set(xlabel="distance to the nearest logged pair", ylabel="policy's pairs", yscale="log")
        right.legend(fontsize=8)
        return figure

    def report(self, path: str | Path) -> Path:
        """Write one self-contained page.

        Args:
            path: the file.

        Returns:
            The path.
        """
        import io

        picture = io.StringIO()
        self.figure().savefig(picture, format="svg", metadata={"Date": None})
        svg = picture.getvalue()
        body = [
            f"<h1>Audit of {html.escape(self.name)}</h1>",
            f"<pre>{html.escape(self.text())}</pre>",
            svg[svg.index("<svg") :],
            "<h2>Extent of the data</h2>",
            self.extent.to_html(float_format=lambda x: f"{x:.4g}", border=0),
        ]
        style = (
            "body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}svg{max-width:100%;height:auto}"
        )
        page = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        page += f"<title>Audit of {html.escape(self.name)}</title><style>{style}</style>{''.join(body)}</html>"
        write_atomic(Path(path), page.encode())
        return Path(path)


def audit(
    source: Any,
    policy: Callable[[Float[np.ndarray, "n obs"]], Float[np.ndarray, "n act"]] | Any = None,
    *,
    discount: float = 0.99,
    margin: float = 2.0,
    features: int = 300,
    resamples: int = 50,
    seed: int = 0,
    **reading: Any,
) -> Audit:
    """Say where logged data end and how far the value of a policy can be estimated from them.

    The distance is Euclidean in observations and actions, each divided by its standard deviation in the log. A pair is
    far if its nearest logged pair is farther than `margin` times what 95 % of the logged pairs have as distance to
    other episodes. Values are fitted by least-squares temporal differences on random Fourier features.

    Args:
        source: what `separatrix.data.read_log` takes, a `LoggedEpisodes` among it, or `separatrix.envs.Episodes`.
        policy: a function from observations to actions in [-1, 1], for a batch; or a policy of this package, whose mode
            is taken, an agent, a learner's state, or what `sampling` makes. By default the log's own next actions,
            which audits the policy that made the log.
        discount: of the next value, in [0, 1).
        margin: how many times the usual distance is far.
        features: random features of the value function.
        resamples: of the episodes, for the interval.
        seed: of features, samples and resamples.
        **reading: options of `read_log`.

    Returns:
        The audit.

    Raises:
        ValueError: if the log cannot be learnt from, has fewer than two episodes, or the policy's actions do not fit.
        TypeError: if the source is no log, or `policy` no policy.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import BoxWorld, roll_out
        >>> wander = lambda observation, key: jr.uniform(key, (2,), minval=-1.0)
        >>> found = audit(roll_out(BoxWorld(), wander, jr.key(0), 20), features=50, resamples=0)
        >>> found.rows, found.episodes, found.unsupported < 0.05
        (1000, 20, True)

    References:
        Sims, Lu, Foerster, Teh (2024), The Edge-of-Reach Problem in Offline Model-Based Reinforcement Learning,
        NeurIPS.
        Boyan (2002), Technical Update: Least-Squares Temporal Difference Learning, Machine Learning 49.
    """
    import pandas as pd

    if not 0 <= discount < 1:
        raise ValueError(f"`discount` must lie in [0, 1); got {discount}.")
    log = read_log(logged(source) if isinstance(source, Episodes) else source, **reading)
    policy = _for_a_batch(policy)
    rng, starts, notes = np.random.default_rng(seed), log.starts, []
    if len(starts) < 2:
        raise ValueError(f"{log.name}: an audit needs at least two episodes; got {len(starts)}.")
    rows = len(log.reward)
    episode = np.searchsorted(starts, np.arange(rows), side="right") - 1
    asked, known = _next_actions(log, policy)
    pairs, next_pairs = np.hstack([log.observation, log.action]), np.hstack([log.next_observation, asked])
    spread = pairs.std(axis=0)
    constant = spread < 1e-9 * (1 + np.abs(pairs).max(axis=0))
    if constant.any():
        notes.append(
            f"{int(constant.sum())} of {len(spread)} numbers never change in the log and are compared as they are"
        )
    scale = np.where(constant, 1.0, spread)
    pairs, next_pairs = pairs / scale, next_pairs / scale
    first_action = log.action[starts] if policy is None else np.clip(policy(log.observation[starts]), -1, 1)
    first_pairs = np.hstack([log.observation[starts], first_action]) / scale
    bootstrapped = known & ~log.terminal
    radius = margin * _usual_distance(pairs, episode, rng)
    queries = np.flatnonzero(bootstrapped)
    if len(queries) == 0:
        raise ValueError(f"{log.name}: no transition has a next action, so nothing can be bootstrapped.")
    distance = np.zeros(rows)
    distance[queries] = _nearest(pairs, next_pairs[queries], rng)
    far = bootstrapped & (distance > radius)
    unsupported = float(far.sum() / len(queries))
    value = _values(log, pairs, next_pairs, first_pairs, known, far, episode, discount, features, resamples, rng)
    if len(starts) < FEW:
        notes.append(f"{len(starts)} episodes are too few for the interval to be trusted")
    if policy is None and not known.all():
        notes.append(f"{int((~known).sum())} rows end an episode that was broken off; their next action is unknown")
    low, high = pairs.min(axis=0), pairs.max(axis=0)
    names = [f"observation {i}" for i in range(log.observation.shape[1])]
    names += [f"action {i}" for i in range(log.action.shape[1])]
    outside = ((next_pairs[queries] < low) | (next_pairs[queries] > high)).mean(axis=0)
    extent = pd.DataFrame({"lowest": low * scale, "highest": high * scale, "policy outside": outside}, index=names)
    shown = rng.permutation(queries)[:QUERY_ROWS]
    return Audit(
        name=log.name,
        rows=rows,
        episodes=len(starts),
        unsupported=unsupported,
        radius=radius,
        first_unsupported=_first_unsupported(far, episode, starts),
        value=value,
        extent=extent,
        trust=_trust(value, unsupported, len(starts)),
        notes=notes,
        distances=distance[shown],
        plane=_plane(pairs, next_pairs[shown], rng),
    )


def _for_a_batch(policy: Any) -> Any:
    """From what stands for a policy to a function on batches of observations; None stays None."""
    policy = getattr(policy, "agent", policy)
    policy = getattr(policy, "policy", policy) if isinstance(policy, Agent) else policy
    if isinstance(policy, Acting):
        return lambda observation: jax.vmap(policy)(jnp.asarray(observation), jr.split(jr.key(0), len(observation)))
    act = getattr(policy, "mode", policy)
    if act is not None and not callable(act):
        raise TypeError(
            "`policy` must be a function from observations to actions, a policy with `mode`, or a learner's agent or "
            f"state; got {type(policy).__name__}."
        )
    return act


def _next_actions(log: LoggedEpisodes, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """The action at each next observation, and whether it is known."""
    if policy is None:
        following = np.concatenate([log.action[1:], log.action[-1:]])
        return following, ~log.timeout
    asked = np.asarray(policy(log.next_observation), float)
    if asked.shape != log.action.shape:
        raise ValueError(f"the policy must return actions of shape {log.action.shape}; got {asked.shape}.")
    if not np.isfinite(asked).all():
        raise ValueError("the policy returns actions that are not finite.")
    return np.clip(asked, -1, 1), np.ones(len(asked), bool)


def _nearest(data: np.ndarray, queries: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    if len(data) > REFERENCE_ROWS:
        data = data[rng.choice(len(data), REFERENCE_ROWS, replace=False)]
    return NearestNeighbors(n_neighbors=1).fit(data).kneighbors(queries)[0][:, 0]


def _usual_distance(pairs: np.ndarray, episode: np.ndarray, rng: np.random.Generator) -> float:
    """The distance that 95 % of logged pairs have to the pairs of other episodes, in two halves."""
    half = rng.permutation(episode.max() + 1) % 2 == 0
    first = half[episode]
    distances = []
    for mine, other in ((first, ~first), (~first, first)):
        queries = np.flatnonzero(mine)
        queries = queries[rng.permutation(len(queries))[:QUERY_ROWS]]
        distances.append(_nearest(pairs[other], pairs[queries], rng))
    return float(np.quantile(np.concatenate(distances), 0.95))


def _values(
    log, pairs, next_pairs, first_pairs, known, far, episode, discount, features, resamples, rng
) -> dict[str, float]:
    """Value of the starts by least-squares temporal differences; the same with unsupported pairs at their bounds."""
    used = np.flatnonzero(known | log.terminal)
    size = pairs.shape[1]
    sample = pairs[rng.choice(len(pairs), min(len(pairs), 1_000), replace=False)]
    width = np.median(np.linalg.norm(sample[:, None] - sample[None], axis=-1)) or 1.0
    waves, phases = rng.normal(size=(size, features)) / width, rng.uniform(0, 2 * np.pi, features)

    def phi(x: np.ndarray) -> np.ndarray:
        return np.hstack([np.sqrt(2 / features) * np.cos(x @ waves + phases), np.ones((len(x), 1))])

    now, after = phi(pairs[used]), phi(next_pairs[used])
    goes_on, reward = ~log.terminal[used], log.reward[used].astype(float)
    first = phi(first_pairs)
    reach = 1 / (1 - discount)

    def solve(weights: np.ndarray, supported: np.ndarray, bound: float, start_weights: np.ndarray) -> float:
        target = reward + discount * bound * (goes_on & ~supported)
        left = now.T @ (weights[:, None] * (now - discount * (goes_on & supported)[:, None] * after))
        left += 1e-6 * len(used) / features * np.eye(features + 1)
        coefficients = np.linalg.solve(left, now.T @ (weights * target))
        return float(np.average(first @ coefficients, weights=start_weights))

    ones, starts = np.ones(len(used)), np.ones(len(log.starts))
    everywhere, near = np.ones(len(used), bool), ~far[used]
    estimate = solve(ones, everywhere, 0.0, starts)
    draws = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, len(starts), len(starts)), minlength=len(starts)).astype(float)
        draws.append(solve(counts[episode[used]], everywhere, 0.0, counts))
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    ends = 0.0 if log.terminal.any() else np.nan  # who can end at once may earn nothing more
    least, greatest = np.nanmin([reward.min() * reach, ends]), np.nanmax([reward.max() * reach, ends])
    bounds = [solve(ones, near, float(bound), starts) for bound in (least, greatest)]
    return {
        "estimate": estimate,
        "low": float(low),
        "high": float(high),
        "pessimistic": min(bounds),
        "optimistic": max(bounds),
        "least_possible": float(least),
        "greatest_possible": float(greatest),
    }


def _trust(value: dict[str, float], unsupported: float, episodes: int) -> str:
    """The word for how much of all that is possible the estimate leaves open."""
    least, greatest = value["least_possible"], value["greatest_possible"]
    room, rounding = greatest - least, 1e-3 * max(abs(least), abs(greatest))
    if not least - rounding <= value["estimate"] <= greatest + rounding:
        return "none"
    if room == 0:
        return "high"
    edges = [value["low"], value["high"]] + [value["pessimistic"], value["optimistic"]] * (unsupported > 0)
    edges = [value["estimate"], *edges]
    share = (np.nanmax(edges) - np.nanmin(edges)) / room
    return "none" if share >= 0.5 else "limited" if share >= 0.1 or episodes < FEW else "high"


def _first_unsupported(far: np.ndarray, episode: np.ndarray, starts: np.ndarray) -> float:
    first = np.full(len(starts), np.inf)
    rows = np.flatnonzero(far)[::-1]
    first[episode[rows]] = rows - starts[episode[rows]]
    middle = float(np.median(first))
    return middle if np.isfinite(middle) else float("nan")


def _plane(pairs: np.ndarray, asked: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    centre = pairs.mean(axis=0)
    shown = pairs[rng.permutation(len(pairs))[:QUERY_ROWS]] - centre
    directions = np.linalg.svd(shown, full_matrices=False)[2][:2].T
    if directions.shape[1] < 2:
        directions = np.pad(directions, ((0, 0), (0, 1)))
    return shown @ directions, (asked - centre) @ directions
