"""Figures of the study."""

import numpy as np

from separatrix.study.figures import PALETTE, measured, panels

from .adversaries import RESONANT


def needed(ds, arm: str, variable: str):
    """A variable of an arm, or NoData."""
    return ds[variable].sel(arm=measured(ds, variable, [arm])[0])


def contours(ds):
    """Pseudospectral contours of the middle dictionary, with EDMD eigenvalues coloured by their residual."""
    tau = needed(ds, "verified", "tau").isel(seed=0).dropna("real", how="all").dropna("imaginary", how="all")
    values = needed(ds, "edmd", "eigenvalue").isel(seed=0).dropna("size", how="all")
    values = values.isel(size=values.sizes["size"] // 2)
    residual = ds.residual.sel(arm="edmd").isel(seed=0).sel(size=values["size"])
    output = needed(ds, "verified", "output").isel(seed=0)
    figure, (axes,) = panels(width=6.4, height=4.6)
    levels = [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    for sign in (1, -1):
        up = sign * tau.imaginary.values
        lines = axes.contour(tau["real"].values, up, tau.values, levels, cmap="viridis_r", linewidths=1)
    axes.clabel(lines, fontsize=7)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 400))
    axes.plot(np.real(circle), np.imag(circle), color=PALETTE[7], linewidth=0.8, linestyle="--")
    re, im = values.sel(part="real").values, values.sel(part="imaginary").values
    dots = axes.scatter(re, im, c=residual.values, s=14, cmap="magma", vmin=0, vmax=1, label="EDMD eigenvalues")
    figure.colorbar(dots, ax=axes, label="residual on fresh snapshots")
    rows, columns = np.nonzero(output.values > 0)
    x, y = output.rough_real.values[columns], output.rough_imaginary.values[rows]
    axes.plot(np.r_[x, x], np.r_[y, -y], "s", color=PALETTE[2], markersize=7, fillstyle="none", label="verified")
    axes.legend(frameon=False, fontsize="small", loc="upper left")
    axes.set(xlabel="real part", ylabel="imaginary part", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    return figure


def certificates(ds):
    """Largest residual of EDMD and certificate of the verified spectrum over the size of the dictionary."""
    figure, (axes,) = panels()
    shown = [("edmd", "largest_residual"), ("edmd-filtered", "largest_residual"), ("verified", "certificate")]
    for i, (arm, variable) in enumerate(shown):
        values = needed(ds, arm, variable).dropna("size", how="all").transpose("size", "seed")
        axes.plot(values["size"], values, "o", color=PALETTE[i], alpha=0.4, markersize=4)
        axes.plot(values["size"], values.mean("seed"), color=PALETTE[i], linewidth=2, label=arm)
    axes.set(xlabel="size of the dictionary", ylabel="residual", xscale="log", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def running_means(ds):
    """Running Wiener means of the two members of each pair of the torus."""
    denominators = needed(ds, "torus-golden", "decision").denominator.values
    figure, axes = panels(len(denominators), width=9.0, height=3.4)
    for one, q in zip(axes, denominators, strict=True):
        for i, arm in enumerate(("torus-golden", "torus-rational")):
            values = needed(ds, arm, "wiener").sel(denominator=q, resonant=RESONANT[0]).dropna("lag", how="all")
            label = "golden rotation" if i == 0 else "fraction"
            one.plot(values.lag, values.mean("seed"), color=PALETTE[i], linewidth=2, label=label)
        one.set(xscale="log", xlabel="steps observed", title=f"denominator {int(q)}", ylim=(0, 1))
        when = float(ds.decision.sel(arm="torus-golden", denominator=q, resonant=RESONANT[0]).mean("seed"))
        one.axvline(when, color=PALETTE[7], linestyle=":")
    axes[0].set_ylabel("running mean of |correlation|²")
    axes[0].legend(frameon=False)
    return figure


def wrong_order(ds):
    """The tower of limits: what ResDMD reports over snapshots and observables."""
    table = needed(ds, "tower", "reported").mean("seed").dropna("N", how="all").dropna("M", how="all")
    figure, (axes,) = panels(height=4.2)
    mesh = axes.pcolormesh(
        np.arange(table.sizes["M"] + 1), np.arange(table.sizes["N"] + 1), table.transpose("N", "M"), cmap="viridis"
    )
    figure.colorbar(mesh, ax=axes, label="mean residual reported")
    axes.set_xticks(np.arange(table.sizes["M"]) + 0.5, [f"{int(m)}" for m in table.M])
    axes.set_yticks(np.arange(table.sizes["N"]) + 0.5, [f"{int(n)}" for n in table.N])
    axes.set(
        xlabel="snapshots M",
        ylabel="observables N",
        title="right: M beyond N (honest); left: N beyond M (all certified)",
    )
    return figure


def rage_figure(ds):
    """RAGE means over the largest shift, tones against chaos."""
    figure, axes = panels(3, width=9.0, height=3.2)
    for one, arm in zip(axes, ("rage-tones", "rage-lorenz", "rage-noise"), strict=True):
        values = needed(ds, arm, "share").mean("seed").dropna("n", how="all").dropna("shift", how="all")
        for i, n in enumerate(values.n.values):
            one.plot(values["shift"], values.sel(n=n), color=PALETTE[i % len(PALETTE)], label=f"{int(n)} delays")
        one.set(xscale="log", xlabel="largest shift L", title=arm.removeprefix("rage-"), ylim=(0, 1.05))
    axes[0].set_ylabel("share in eigenfunctions")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure


def unitary_figure(ds):
    """Eigenvalues of EDMD and mpEDMD on Lorenz delays, and the energy of their forecasts."""
    figure, (plane, energy) = panels(2, width=9.0, height=3.8)
    for i, arm in enumerate(("lorenz-edmd", "lorenz-mpedmd")):
        values = needed(ds, arm, "flow_value").isel(seed=0)
        plane.plot(*(values.sel(part=p) for p in ("real", "imaginary")), "o", color=PALETTE[i], markersize=3, label=arm)
        curve = ds.energy.sel(arm=arm).mean("seed").dropna("ahead", how="all")
        energy.plot(curve.ahead, np.maximum(curve, 1e-6), color=PALETTE[i], linewidth=2, label=arm)
    plane.set(aspect="equal", xlabel="real part", ylabel="imaginary part")
    energy.set(xscale="symlog", yscale="log", xlabel="steps ahead", ylabel="energy of the forecast")
    energy.legend(frameon=False)
    return figure
