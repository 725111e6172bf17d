"""A residual network of 18 layers with few maps, usual in continual learning on small colour images."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from separatrix.models.batch_norm import BatchNorm, BatchStatistics
from separatrix.models.convolution import convolve
from separatrix.models.mlp import uniform_weights

__all__ = ["SlimResNet18"]

Normalise = Callable[[BatchNorm, Array], Array]
STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # maps in multiples of the first, and the stride of the stage's first block
BLOCKS = 2


class _NormalisedConvolution(eqx.Module):
    """A convolution without bias, and the normalisation of its maps."""

    kernel: Float[Array, "rows columns inputs outputs"]
    norm: BatchNorm
    stride: int = eqx.field(static=True)

    def __init__(self, key: Key[Array, ""], inputs: int, outputs: int, size: int, stride: int):
        self.kernel = uniform_weights(key, (size, size, inputs, outputs), size * size * inputs, jnp.float32)
        self.norm, self.stride = BatchNorm(outputs), stride

    def __call__(self, x: Array, normalise: Normalise) -> Array:
        return normalise(self.norm, convolve(x, self.kernel, stride=self.stride))


class _Block(eqx.Module):
    """Two convolutions and a way around them, which is a convolution too where the shape changes."""

    first: _NormalisedConvolution
    second: _NormalisedConvolution
    around: _NormalisedConvolution | None

    def __init__(self, key: Key[Array, ""], inputs: int, outputs: int, stride: int):
        keys = jr.split(key, 3)
        self.first = _NormalisedConvolution(keys[0], inputs, outputs, 3, stride)
        self.second = _NormalisedConvolution(keys[1], outputs, outputs, 3, 1)
        same = stride == 1 and inputs == outputs
        self.around = None if same else _NormalisedConvolution(keys[2], inputs, outputs, 1, stride)

    def __call__(self, x: Array, normalise: Normalise) -> Array:
        inner = self.second(jax.nn.relu(self.first(x, normalise)), normalise)
        return jax.nn.relu(inner + (x if self.around is None else self.around(x, normalise)))


class SlimResNet18(eqx.Module):
    """ResNet18 for small images with 20 maps in the first stage, on batches, channels last.

    The running statistics of batch normalisation are no part of the model: calling it normalises by the batch and moves
    them, `evaluate` normalises by them and leaves them alone. Images are padded with zeros so that a stride of 2 halves
    their sides, rounded up.

    Args:
        key: drives the weights, uniform within `1 / sqrt(inputs of a unit)`.
        classes: number of outputs.
        maps: of the first stage, doubled in each of the three others.
        channels: of an image.
        pool: side of the window of the last average pooling; the whole image when None. With 84 x 84 pixels a window of
            4 leaves 2 x 2 places, hence 640 features in the place of 160.
        side: of an image, needed with `pool` only.

    Attributes:
        stem: first convolution.
        blocks: eight residual blocks.
        weight: of the last layer, `(features, classes)`.
        bias: of the last layer, `(classes,)`.
        pool: as given.

    Raises:
        ValueError: if `pool` is given and no window fits into the last stage's image.

    References:
        He, Zhang, Ren, Sun (2016), CVPR. Lopez-Paz, Ranzato (2017), Gradient Episodic Memory, NeurIPS, for the width.

    Examples:
        >>> model = SlimResNet18(jr.key(0), classes=10, maps=2)
        >>> images, statistics = jnp.ones((4, 8, 8, 3)), model.statistics()
        >>> logits, moved = model(images, statistics)
        >>> logits.shape, model.evaluate(images, moved).shape, len(statistics)
        ((4, 10), (4, 10), 20)
    """

    stem: _NormalisedConvolution
    blocks: tuple[_Block, ...]
    weight: Float[Array, "features classes"]
    bias: Float[Array, " classes"]
    pool: int | None = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        classes: int,
        *,
        maps: int = 20,
        channels: int = 3,
        pool: int | None = None,
        side: int | None = None,
    ):
        windows = 1 if pool is None else _windows(side, pool)
        keys = jr.split(key, 2 + BLOCKS * len(STAGES) + 1)
        self.stem = _NormalisedConvolution(keys[0], channels, maps, 3, 1)
        blocks, inputs = [], maps
        for factor, stride in STAGES:
            for place in range(BLOCKS):
                outputs = factor * maps
                blocks.append(_Block(keys[3 + len(blocks)], inputs, outputs, stride if place == 0 else 1))
                inputs = outputs
        self.blocks, self.pool = tuple(blocks), pool
        features = inputs * windows**2
        self.weight = uniform_weights(keys[1], (features, classes), features, jnp.float32)
        self.bias = uniform_weights(keys[2], (classes,), features, jnp.float32)

    def statistics(self) -> tuple[BatchStatistics, ...]:
        """Return the running statistics to start from, one for each normalisation in the order of the computation."""
        norms: list[BatchNorm] = []
        note = lambda norm, x: (norms.append(norm), x)[1]  # noqa: E731
        side = 32 if self.pool is None else 8 * self.pool
        jax.eval_shape(lambda x: self._features(x, note), jnp.zeros((1, side, side, self.stem.kernel.shape[2])))
        return tuple(BatchStatistics.standard(norm.scale.shape[0]) for norm in norms)

    def __call__(
        self, images: Float[Array, "batch height width channels"], statistics: tuple[BatchStatistics, ...]
    ) -> tuple[Float[Array, "batch classes"], tuple[BatchStatistics, ...]]:
        """Return logits normalised by this batch, and the running statistics after it."""
        before, after = iter(statistics), []

        def normalise(norm, x):
            x, moved = norm(x, next(before))
            after.append(moved)
            return x

        return self._features(images, normalise) @ self.weight + self.bias, tuple(after)

    def evaluate(
        self, images: Float[Array, "batch height width channels"], statistics: tuple[BatchStatistics, ...]
    ) -> Float[Array, "batch classes"]:
        """Return logits normalised by the running statistics, each image on its own."""
        rest = iter(statistics)
        return self._features(images, lambda norm, x: norm.evaluate(x, next(rest))) @ self.weight + self.bias

    def _features(self, x: Array, normalise: Normalise) -> Float[Array, "batch features"]:
        x = jax.nn.relu(self.stem(x, normalise))
        for block in self.blocks:
            x = block(x, normalise)
        if self.pool is None:
            return jnp.mean(x, axis=(1, 2))
        high, wide = x.shape[1] // self.pool, x.shape[2] // self.pool
        windows = x[:, : high * self.pool, : wide * self.pool].reshape(len(x), high, self.pool, wide, self.pool, -1)
        return jnp.mean(windows, axis=(2, 4)).reshape(len(x), -1)


def _windows(side: int | None, pool: int) -> int:
    last = -(-(side or 0) // 8)  # three halvings, each rounded up
    if pool < 1 or last < pool:
        raise ValueError(f"`pool` {pool} needs images whose `side` is {8 * pool - 7} or more; got {side}.")
    return last // pool
