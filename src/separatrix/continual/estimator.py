"""A classifier that is fed task after task, in scikit-learn's idiom, for those who have only arrays."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from separatrix._core.intervention import Intervention
from separatrix._core.run import run
from separatrix.continual.buffers import Balanced
from separatrix.continual.gradient_projection import Projection
from separatrix.continual.learner import Learner
from separatrix.continual.replay import experience_replay
from separatrix.data.task_streams import Examples, TaskBatch
from separatrix.models.mlp import MLP

__all__ = ["ContinualClassifier"]


class _Epochs(eqx.Module):
    """Batches by rows chosen on the host; the last update ends the task."""

    inputs: Any
    targets: Any
    rows: Any
    count: Any
    last: Any
    task: Any

    def __call__(self, step, key):
        del key
        rows = self.rows[jnp.minimum(step, self.rows.shape[0] - 1)]
        return TaskBatch(self.inputs[rows], self.targets[rows], self.task, step == self.last)

    def examples(self, task):
        del task
        weight = (jnp.arange(len(self.targets)) < self.count).astype(jnp.float32)
        return Examples(self.inputs, self.targets, weight)


class ContinualClassifier(ClassifierMixin, BaseEstimator):
    """A network trained on one task after another, with a method that keeps the old ones.

    Each call of `partial_fit` is one task: it trains for `epochs` on the arrays given and then lets the method
    consolidate (fill its buffer, take the Fisher information). Arrays of any length share compiled programs, because
    they are filled up to a power of two.

    Args:
        method: an intervention such as `ewc(300.0)`, or several under `chain`; experience replay of 200 examples,
            balanced over classes, when None. Not `joint()`, which needs the arrays of all tasks at every call: `fit`
            all of them at once instead.
        hidden: widths of the hidden layers.
        learning_rate: of stochastic gradient descent.
        momentum: carried over from task to task.
        epochs: passes over each task's examples.
        batch_size: examples in a batch; more than there are in a task are drawn with repetition.
        optimiser: an optax transform, in place of the one above.
        random_state: seed of weights, batches and memories.

    Attributes:
        classes_: labels, sorted; set at the first call.
        n_features_in_: number of features.
        n_tasks_: number of tasks learnt.
        state_: of the learner.

    Examples:
        >>> from separatrix.continual import ContinualClassifier
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 2)).astype(np.float32)
        >>> y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0)
        >>> model = ContinualClassifier(hidden=(32,), epochs=20, random_state=0)
        >>> for task in (y < 2, y >= 2):
        ...     _ = model.partial_fit(X[task], y[task], classes=[0, 1, 2, 3])
        >>> model.n_tasks_, bool(model.score(X, y) > 0.8)
        (2, True)
    """

    def __init__(
        self,
        method: Intervention | None = None,
        *,
        hidden: Sequence[int] = (100, 100),
        learning_rate: float = 0.03,
        momentum: float = 0.9,
        epochs: int = 10,
        batch_size: int = 32,
        optimiser: optax.GradientTransformation | None = None,
        random_state: int = 0,
    ):
        self.method = method
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimiser = optimiser
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Forget everything and learn one task.

        Args:
            X: shape `(n, features)`.
            y: labels.

        Returns:
            Itself.

        Raises:
            ValueError: as `partial_fit`.
        """
        for name in ("classes_", "state_", "n_tasks_", "n_features_in_", "_parts"):
            self.__dict__.pop(name, None)
        return self.partial_fit(X, y)

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Learn one more task.

        Args:
            X: shape `(n, features)`, finite.
            y: labels of the n examples.
            classes: all labels that will ever come; those of this call when None, at the first call only.

        Returns:
            Itself.

        Raises:
            ValueError: if shapes do not fit, a feature is not finite, a label is not among `classes`, or `gem` has no
                room for one more task.
        """
        inputs, labels = self._checked(X), np.asarray(y)
        if labels.shape != (len(inputs),) or not len(inputs):
            raise ValueError(
                f"`y` must give one label for each of {len(inputs)} rows, at least one; got {labels.shape}."
            )
        if not hasattr(self, "classes_"):
            self.classes_ = np.unique(labels if classes is None else np.asarray(classes))
            self.n_features_in_ = inputs.shape[1]
            self.n_tasks_ = 0
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError("`classes` must be the same at every call; give all of them at the first.")
        if inputs.shape[1] != self.n_features_in_:
            raise ValueError(f"`X` must have {self.n_features_in_} features, as at first; got {inputs.shape[1]}.")
        strange = ~np.isin(labels, self.classes_)
        if strange.any():
            raise ValueError(f"label {labels[strange][0]} is not among the classes; name all in the first call.")
        targets = np.searchsorted(self.classes_, labels).astype(np.int32)
        stream, steps = self._epochs(inputs, targets)
        learner = self._learner(stream)
        room = min((term.num_tasks for term in learner.terms if isinstance(term, Projection)), default=np.inf)
        if self.n_tasks_ >= room:
            raise ValueError(f"`gem` has room for {room} tasks, which are learnt; give it a larger `num_tasks`.")
        key = jr.fold_in(jr.key(self.random_state), self.n_tasks_)
        before = {} if self.n_tasks_ == 0 else {"state": self.state_}
        self.state_ = run(learner, key, steps, **before).state
        self.n_tasks_ += 1
        return self

    def _checked(self, X: ArrayLike) -> np.ndarray:
        inputs = np.asarray(X, np.float32)
        if inputs.ndim != 2:
            raise ValueError(f"`X` must have shape (n, features); got {inputs.shape}.")
        if not np.isfinite(inputs).all():
            raise ValueError("`X` must be finite; it holds NaN or infinity.")
        return inputs

    def _epochs(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[_Epochs, int]:
        count, size = len(inputs), self.batch_size
        rng = np.random.default_rng([self.random_state, self.n_tasks_])
        if count < size:
            rows = rng.integers(0, count, (self.epochs, size))
        else:
            kept = count // size * size
            rows = np.concatenate([rng.permutation(count)[:kept].reshape(-1, size) for _ in range(self.epochs)])
        padded = 1 << max(count - 1, 1).bit_length()
        fill = np.resize(np.arange(count), padded)
        steps = len(rows)
        rows = np.resize(rows, (1 << max(steps - 1, 1).bit_length(), size))
        arrays = [jnp.asarray(a) for a in (inputs[fill], targets[fill], rows.astype(np.int32))]
        numbers = [jnp.asarray(n, jnp.int32) for n in (count, steps - 1, self.n_tasks_)]
        return _Epochs(*arrays, *numbers), steps

    def _learner(self, stream: _Epochs) -> Learner:
        if not hasattr(self, "_parts"):
            # the same objects at every call, so that the second task compiles nothing
            sizes = (self.n_features_in_, *self.hidden, len(self.classes_))
            optimiser = optax.sgd(self.learning_rate, self.momentum) if self.optimiser is None else self.optimiser
            self._parts = (_Network(sizes), optimiser)
        method = self.method
        if method is None:
            method = experience_replay(Balanced(200, groups=None))
        model, optimiser = self._parts
        loss: Callable = optax.losses.softmax_cross_entropy_with_integer_labels
        changed: Any = method(Learner(model, loss, optimiser, stream))
        return changed

    def _logits(self, X: ArrayLike) -> np.ndarray:
        if not hasattr(self, "state_"):
            raise ValueError("the classifier has learnt nothing yet; call `partial_fit` or `fit` first.")
        inputs = self._checked(X)
        if inputs.shape[1] != self.n_features_in_:
            raise ValueError(f"`X` must have {self.n_features_in_} features, as at first; got {inputs.shape[1]}.")
        stream, _ = self._epochs(np.zeros((1, self.n_features_in_), np.float32), np.zeros(1, np.int32))
        learner = self._learner(stream)
        return np.asarray(_outputs(learner, self.state_, jnp.asarray(inputs)))

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class.

        Args:
            X: shape `(n, features)`.

        Returns:
            Shape `(n, classes)`.

        Raises:
            ValueError: if nothing was learnt, or the features do not fit.
        """
        return np.asarray(jax.nn.softmax(self._logits(X), axis=-1))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of each row.

        Args:
            X: shape `(n, features)`.

        Returns:
            Labels.

        Raises:
            ValueError: if nothing was learnt, or the features do not fit.
        """
        best = self._logits(X).argmax(-1)
        return self.classes_[best]


class _Network(eqx.Module):
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, key):
        return MLP(key, self.sizes, use_bias=True)


@eqx.filter_jit
def _outputs(learner: Learner, state: Any, inputs: Any):
    return learner.outputs(state, inputs)
