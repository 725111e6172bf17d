"""Learning without forgetting: the new batch seen through the eyes of the model before this task."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, PyTree

from separatrix._core.intervention import Intervention
from separatrix.continual.learner import AbstractTerm, with_term

__all__ = ["Distillation", "Teacher", "distillation_loss", "lwf"]


class Teacher(NamedTuple):
    """Memory of `Distillation`.

    Attributes:
        params: at the end of the last task.
        seen: classes that occurred up to now.
        known: classes that occurred before this task, which the teacher knows.
    """

    params: PyTree
    seen: Bool[Array, " classes"]
    known: Bool[Array, " classes"]


def distillation_loss(
    teacher: Float[Array, "*batch classes"],
    student: Float[Array, "*batch classes"],
    temperature: ArrayLike = 2.0,
    known: Bool[Array, " classes"] | None = None,
) -> Float[Array, "*batch"]:
    """`KL(softmax(teacher / T) || softmax(student / T))` over the known classes, without a factor `T^2`.

    Args:
        teacher: logits of the old model.
        student: logits of the model that is trained; only these get a gradient.
        temperature: T > 0.
        known: classes that count; all when None.

    Returns:
        One divergence for each example, in nat; 0 if no class is known.

    Examples:
        >>> logits = jnp.log(jnp.array([0.9, 0.1]))
        >>> round(float(distillation_loss(logits, jnp.zeros(2), 1.0)), 6)  # ln 2 - H(.9)
        0.368064
    """
    hide = jnp.zeros(student.shape[-1]) if known is None else jnp.where(known, 0.0, -1e9)
    hide = hide.astype(student.dtype)
    return _divergence(teacher / temperature + hide, student / temperature + hide)


@jax.custom_jvp
def _divergence(teacher: Array, student: Array) -> Array:
    old, new = jax.nn.log_softmax(teacher, axis=-1), jax.nn.log_softmax(student, axis=-1)
    counted = jnp.where(jnp.any(student > -1e8, axis=-1, keepdims=True), jnp.exp(old) * (old - new), 0.0)
    return jnp.sum(counted, axis=-1)


@_divergence.defjvp
def _divergence_jvp(primals, tangents):
    # softmax minus softmax, so that the gradient vanishes to the bit where student and teacher agree; the teacher's own
    # gradient is that of a constant
    teacher, student = primals
    slope = jax.nn.softmax(student, axis=-1) - jax.nn.softmax(teacher, axis=-1)
    return _divergence(teacher, student), jnp.sum(slope * tangents[1], axis=-1)


class Distillation(AbstractTerm):
    """`strength x mean KL(teacher || student)` on the new inputs; see `lwf`.

    Attributes:
        strength: alpha, traced.
        temperature: T.
    """

    strength: ArrayLike = 1.0
    temperature: ArrayLike = 2.0

    def init(self, learner, params, key):
        """Return a teacher that knows nothing."""
        del key
        shape = jax.eval_shape(learner.stream, jnp.int32(0), jax.random.key(0))
        own = jnp.zeros(len(jax.tree.leaves(shape.inputs)[0]), jnp.int32)
        given = jax.eval_shape(lambda p, i: learner.apply(p, i, own, jnp.int32(0)), params, shape.inputs)
        none = jnp.zeros(given.shape[-1], bool)
        return Teacher(params, none, none)

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return the mean divergence from the teacher on the new inputs."""
        del params, key
        own = jnp.broadcast_to(jnp.asarray(x.task, jnp.int32), (len(outputs),))
        teacher = jax.lax.stop_gradient(learner.apply(memory.params, x.inputs, own, x.task))
        return self.strength * jnp.mean(distillation_loss(teacher, outputs, self.temperature, memory.known))

    def observe(self, learner, memory, before, after, gradient, x, outputs, key):
        """Note the classes of the new batch."""
        del learner, before, after, gradient, key
        hot = jax.nn.one_hot(x.targets, outputs.shape[-1], dtype=bool)
        return memory._replace(seen=memory.seen | jnp.any(hot.reshape(-1, outputs.shape[-1]), axis=0))

    def consolidate(self, learner, memory, params, x, key):
        """Make the present model the teacher."""
        del learner, x, key
        return Teacher(params, memory.seen, memory.seen)


def lwf(strength: ArrayLike = 1.0, temperature: ArrayLike = 2.0) -> Intervention:
    """Learning without forgetting: keep the outputs of old classes on *new* inputs where they were.

    Classes count once they have occurred in an earlier task. In the first task there is no penalty.

    Args:
        strength: alpha, traced.
        temperature: T; there is no factor `T^2`.

    Returns:
        An intervention on a process with logits and integer targets.

    References:
        Li, Hoiem (2017), IEEE TPAMI 40(12), arXiv:1606.09282.
    """
    return with_term(Distillation(strength, temperature))
