"""Tables of modular operations and the codes of their operands."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.modular import modular_arithmetic, operation_table, random_codes


def whole(split):
    inputs = np.concatenate([split.train_inputs, split.test_inputs])
    return inputs, np.concatenate([split.train_targets, split.test_targets])


@pytest.mark.parametrize(
    ("operation", "fn"),
    [
        ("add", lambda a, b: (a + b) % 7),
        ("subtract", lambda a, b: (a - b) % 7),
        ("multiply", lambda a, b: a * b % 7),
        (lambda a, b: (a * a + b) % 7, lambda a, b: (a * a + b) % 7),
        (lambda a, b: jnp.mod(a + 2 * b, 7), lambda a, b: (a + 2 * b) % 7),
    ],
)
def test_every_pair_occurs_once_with_its_result(operation, fn):
    pairs, targets = whole(modular_arithmetic(jr.key(0), 7, operation, encoding="pairs"))
    assert sorted(map(tuple, pairs.tolist())) == list(itertools.product(range(7), range(7)))
    assert [fn(a, b) for a, b in pairs.tolist()] == targets.tolist()


def test_division_undoes_multiplication():
    pairs, quotients = whole(modular_arithmetic(jr.key(0), 7, "divide", encoding="pairs"))
    assert len(pairs) == 42
    assert np.all(pairs[:, 1] != 0)
    np.testing.assert_array_equal(quotients * pairs[:, 1] % 7, pairs[:, 0])


@pytest.mark.parametrize("fraction", [0.4, 0.7])
def test_sizes_and_dtypes(x64, fraction):
    split = jax.eval_shape(lambda k: modular_arithmetic(k, 59, train_fraction=fraction), jr.key(0))
    assert split.train_inputs.shape == (int(3481 * fraction), 118)
    assert split.test_inputs.shape == (3481 - int(3481 * fraction), 118)
    assert split.train_inputs.dtype == jnp.float32
    assert split.train_targets.dtype == jnp.int32
    assert split.num_classes == 59


def test_one_key_gives_one_split_in_every_encoding():
    splits = {
        name: modular_arithmetic(jr.key(3), 7, encoding=name, bits=5)
        for name in ("onehot", "binary", "random_binary", "tokens", "pairs")
    }
    pairs = splits["pairs"].train_inputs
    assert pairs.dtype == jnp.int32
    for split in splits.values():
        np.testing.assert_array_equal(split.train_targets, splits["pairs"].train_targets)
    np.testing.assert_array_equal(splits["onehot"].train_inputs, np.eye(7)[pairs].reshape(-1, 14))
    powers = np.array([4, 2, 1])
    np.testing.assert_array_equal(splits["binary"].train_inputs.reshape(-1, 2, 3) @ powers, pairs)
    tokens = splits["tokens"].train_inputs
    assert tokens.dtype == jnp.int32
    np.testing.assert_array_equal(tokens[:, ::2], pairs)
    np.testing.assert_array_equal(tokens[:, 1::2], np.tile([7, 8], (len(pairs), 1)))


def test_random_codes_are_a_function_of_the_integer_and_the_same_in_both_places():
    pairs, _ = whole(modular_arithmetic(jr.key(4), 7, encoding="pairs"))
    codes, _ = whole(modular_arithmetic(jr.key(4), 7, encoding="random_binary", bits=5))
    table = {}
    for integer, code in zip(pairs.ravel(), codes.reshape(-1, 5), strict=True):
        assert table.setdefault(int(integer), tuple(code)) == tuple(code)
    assert len(set(table.values())) == 7


def test_random_codes_are_distinct_and_unbiased():
    codes = jax.vmap(lambda k: random_codes(k, 16, 5))(jr.split(jr.key(0), 500))
    assert set(np.unique(codes)) == {0.0, 1.0}
    numbers = np.asarray(codes @ (2.0 ** jnp.arange(5)))
    assert all(len(set(row)) == 16 for row in numbers)
    assert np.asarray(codes).mean() == pytest.approx(0.5, abs=0.02)


def test_seeds_can_be_batched():
    keys = jr.split(jr.key(0), 3)
    batch = jax.jit(jax.vmap(lambda k: modular_arithmetic(k, 7, encoding="random_binary", bits=5)))(keys)
    for i, key in enumerate(keys):
        single = modular_arithmetic(key, 7, encoding="random_binary", bits=5)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[i], b), batch, single)
    assert not np.array_equal(batch.train_targets[0], batch.train_targets[1])


def test_a_function_may_use_jax_inside_a_compiled_function():
    compiled = jax.jit(lambda k: modular_arithmetic(k, 5, lambda a, b: jnp.mod(a + b, 5), encoding="pairs"))
    split = compiled(jr.key(0))
    np.testing.assert_array_equal(split.train_inputs.sum(axis=1) % 5, split.train_targets)


def test_the_table_is_ordered():
    a, b, c = operation_table(3, "subtract")
    assert a.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert b.tolist() == [0, 1, 2] * 3
    assert c.tolist() == [0, 2, 1, 1, 0, 2, 2, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1}, "modulus"),
        ({"p": 8, "operation": "divide"}, "prime"),
        ({"operation": "power"}, "`operation`"),
        ({"operation": lambda a, b: a + b}, r"values in \[0, 5\)"),
        ({"operation": lambda a, b: a / 5}, "values in"),
        ({"encoding": "gray"}, "`encoding`"),
        ({"encoding": "random_binary", "bits": 2}, "from 3 to 20"),
        ({"encoding": "random_binary", "bits": 21}, "from 3 to 20"),
        ({"train_fraction": 1.0}, "`train_fraction`"),
    ],
)
def test_bad_arguments_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        modular_arithmetic(jr.key(0), **{"p": 5, **options})
