"""On several devices a population is spread over them and gives the same numbers."""

import os
import subprocess
import sys
import textwrap

SCRIPT = """
    import jax, jax.numpy as jnp, jax.random as jr, numpy as np
    from separatrix import Probe, run
    from separatrix.systems import LogisticMap

    probe = Probe(lambda tr, key: {"x": tr.after}, every=50)
    keys, over = jr.split(jr.key(0), 3), {"rate": np.linspace(2.5, 3.5, 7, dtype=np.float32)}
    together = run(LogisticMap(3.0), keys, 100, probes=[probe], over=over)
    print(jax.local_device_count(), together.records.attrs["block"], together.records["x"].shape)
    for i, rate in enumerate(over["rate"]):
        for j, key in enumerate(keys):
            alone = run(LogisticMap(jnp.float32(rate)), key, 100, probes=[probe], block=1)
            np.testing.assert_allclose(alone.records["x"], together.records["x"][i, j], rtol=1e-5)
    from separatrix._core.layout import shard
    spread, shared = shard([jnp.zeros((8, 3)), jnp.zeros(5)], [0, None], 8)
    print(len(spread.sharding.device_set), spread.addressable_shards[0].data.shape, shared.is_fully_replicated)
"""


def in_process(devices):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_population_is_spread_over_four_devices():
    counts, sharding = in_process(4)
    assert counts == "4 24 (7, 3, 2)"  # 21 members, filled up to a multiple of 4
    assert sharding == "4 (2, 3) True"
