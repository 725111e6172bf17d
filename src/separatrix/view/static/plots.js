// Curves, phase diagrams and maps. The server sends as many points as the plot has pixels; zooming asks again.
import { CONFIG, PALETTE, clear, colour, element, getData, labelled, layout, plotly, select, textTable } from "./parts.js";

/** Begin all boxes of the page; `onChange` takes a function that is called when results have changed. */
export function begin(onChange) {
  for (const box of document.querySelectorAll("[data-curves]")) onChange(curvesBox(box));
  for (const box of document.querySelectorAll("[data-phase]")) onChange(phaseBox(box));
  for (const box of document.querySelectorAll("[data-map]")) mapBox(box);
}

const redraws = [];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach((draw) => draw()));

function follows(name) {
  let queued = null;
  return (work) => { // one at a time, the last asked for wins
    const mine = {};
    queued = mine;
    return Promise.resolve().then(() => (queued === mine ? work(() => queued === mine) : null));
  };
}

/** Label decades only where a logarithmic axis spans more than one and a half. */
function ticks(scale, values) {
  const positive = values.filter((v) => v > 0);
  return scale === "log" && Math.max(...positive) / Math.min(...positive) > 30 ? { dtick: 1 } : {};
}

function rgba(hex, alpha) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}

// ---- curves

function curvesBox(box) {
  const runs = JSON.parse(box.dataset.curves);
  const base = (run) => `/api/runs/${run}`;
  const state = { variable: "", at: {}, x: "linear", y: "linear", seeds: false, hidden: new Set(), window: null, yRange: null };
  const [controls, plots] = [box.querySelector(".controls"), box.querySelector(".plots")];
  const newest = follows();
  let known = [], shown = [];

  async function look() {
    const answers = await Promise.all(runs.map((run) => getData(`${base(run)}/variables`)));
    const damaged = answers.flatMap((answer) => answer.error ?? answer.damaged ?? []);
    known = answers.map((answer) => (answer.variables ?? []).filter((v) => v.curves));
    remarks(box, damaged);
    const names = variables();
    if (!names.size) { box.hidden = runs.length === 1 && !damaged.length; return; }
    box.hidden = false;
    plotly(); // begins to load while the numbers come
    const key = JSON.stringify([...names.values()].map((v) => [v.name, v.arms, v.dims]));
    if (!names.has(state.variable)) state.variable = [...names.keys()][0];
    if (box.dataset.key !== key) { box.dataset.key = key; build(); }
    await load();
  }

  function variables() {
    const names = new Map();
    for (const list of known) for (const v of list) {
      const had = names.get(v.name);
      names.set(v.name, had ? { ...had, arms: [...new Set([...had.arms, ...v.arms])] } : v);
    }
    return names;
  }

  function build() {
    const focus = document.activeElement?.id;
    clear(controls);
    const names = variables(), about = names.get(state.variable);
    const add = (text, options, chosen, id, change) => {
      const control = select(options, chosen);
      control.addEventListener("change", () => change(control.value));
      controls.append(labelled(text, control, id));
    };
    add("Variable", [...names.values()].map((v) => [v.name, v.label]), state.variable, "curve-variable", (value) => {
      Object.assign(state, { variable: value, at: {}, window: null, yRange: null }); build(); load();
    });
    for (const dim of about.dims) {
      if (["arm", "seed", "step"].includes(dim.name) || dim.size < 2) continue;
      const labels = dim.labels ?? [...Array(Math.min(dim.size, 500)).keys()];
      add(dim.name, [["mean", "mean"], ...labels.map((label, i) => [i, label])], state.at[dim.name] ?? 0, `curve-${dim.name}`,
        (value) => { state.at[dim.name] = value; state.yRange = null; load(); });
    }
    const scales = [["linear", "linear"], ["log", "logarithmic"]];
    add("Steps", scales, state.x, "curve-x", (value) => { Object.assign(state, { x: value, window: null }); load(); });
    add("Values", scales, state.y, "curve-y", (value) => { Object.assign(state, { y: value, yRange: null }); load(); });
    const seeds = element("input", { type: "checkbox" });
    seeds.checked = state.seeds;
    seeds.addEventListener("change", () => { state.seeds = seeds.checked; load(); });
    controls.append(labelled("Single seeds", seeds, "curve-seeds"));
    const zooms = [["Zoom in", () => zoom(0.5, 0)], ["Zoom out", () => zoom(2, 0)], ["Left", () => zoom(1, -0.25)],
      ["Right", () => zoom(1, 0.25)], ["Whole", () => { state.window = state.yRange = null; load(); }]];
    controls.append(element("span", { class: "control", role: "group", "aria-label": "Zoom" }, zooms.map(([text, act]) => {
      const button = element("button", { type: "button", id: `curve-${text.replace(" ", "-")}` }, [text]);
      button.addEventListener("click", act);
      return button;
    })));
    const legend = element("fieldset", { class: "arms-legend" }, [element("legend", {}, ["Arms"])]);
    about.arms.forEach((arm, i) => {
      const box_ = element("input", { type: "checkbox", id: `arm-${i}` });
      box_.checked = !state.hidden.has(arm);
      box_.addEventListener("change", () => { box_.checked ? state.hidden.delete(arm) : state.hidden.add(arm); draw(); });
      legend.append(element("label", { for: `arm-${i}` }, [box_, swatch(i), arm]));
    });
    if (about.arms.length) controls.append(legend);
    clear(plots);
    shown = runs.map((run, i) => {
      const place = element("div", { class: "plot", role: "img" });
      const figure = element("figure", {}, [place]);
      if (runs.length > 1) figure.prepend(element("figcaption", {}, [`${"AB"[i]}: ${run}`]));
      plots.append(figure);
      return { run, figure, place, data: null };
    });
    if (focus) document.getElementById(focus)?.focus();
  }

  function swatch(i) {
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
    const line = document.createElementNS(space, "path");
    const dashes = ["none", "9 4", "2 4"][Math.floor(i / PALETTE.length) % 3];
    const look = { d: "M0 7H28", stroke: PALETTE[i % PALETTE.length], "stroke-width": 5, "stroke-dasharray": dashes };
    for (const [key, value] of Object.entries(look)) line.setAttribute(key, value);
    svg.setAttribute("viewBox", "0 0 28 14");
    svg.setAttribute("aria-hidden", "true");
    svg.append(line);
    return svg;
  }

  const whole = () => {
    const ends = shown.flatMap((s) => s.data?.range ?? []);
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
  };

  function zoom(factor, shift) {
    const from = state.window ?? whole();
    if (!from) return;
    const log = state.x === "log", to = (v) => (log ? Math.log10(Math.max(v, 1e-300)) : v), back = (v) => (log ? 10 ** v : v);
    const all = whole();
    const low = log && from[0] <= 0 ? 1 : from[0];
    const [a, b] = [to(low), to(from[1])], half = ((b - a) / 2) * factor, mid = (a + b) / 2 + shift * (b - a);
    state.window = [Math.max(back(mid - half), all[0]), Math.min(back(mid + half), all[1])];
    if (!(state.window[0] < state.window[1])) state.window = null;
    state.yRange = null;
    load();
  }

  function load() {
    return newest(async (current) => {
      const about = variables().get(state.variable);
      await Promise.all(shown.map(async (one) => {
        const query = new URLSearchParams({
          variable: state.variable, scale: state.x, seeds: state.seeds ? "1" : "0",
          columns: String(Math.max(200, Math.round(one.place.clientWidth || 600))),
        });
        for (const [dim, at] of Object.entries(state.at)) query.set(`at.${dim}`, at);
        if (state.window) { query.set("from", state.window[0]); query.set("to", state.window[1]); }
        const answer = await getData(`${base(one.run)}/curves?${query}`);
        if (current()) one.data = answer;
      }));
      if (current()) { checkRange(); await draw(about); }
    });
  }

  function checkRange() {
    if (runs.length > 1 && !state.yRange) { // the same axis on both sides
      const ends = shown.flatMap((s) => (s.data?.arms ?? []).flatMap((a) => [a.summary.least, a.summary.most]))
        .filter((v) => v !== null && (state.y === "linear" || v > 0));
      if (ends.length) {
        const [low, high] = [Math.min(...ends), Math.max(...ends)], margin = 0.05 * (high - low) || 1;
        state.shared = state.y === "log" ? [Math.log10(low) - 0.1, Math.log10(high) + 0.1] : [low - margin, high + margin];
      }
    }
  }

  async function draw() {
    const Plotly = await plotly();
    const about = variables().get(state.variable);
    const list = about?.arms.length ? about.arms : [state.variable];
    for (const one of shown) {
      const { data, place, figure } = one;
      figure.querySelector("details")?.remove();
      if (!data || data.error) {
        remarks(figure, [data?.error ?? "no data"]);
        continue;
      }
      remarks(figure, data.arms.length ? [] : ["nothing of this was measured here"]);
      const traces = [];
      for (const arm of data.arms) {
        if (state.hidden.has(arm.arm)) continue;
        const i = Math.max(0, list.indexOf(arm.arm)), tint = PALETTE[i % PALETTE.length];
        const dash = ["solid", "dash", "dot"][Math.floor(i / PALETTE.length) % 3]; // more arms than colours
        if (arm.band) {
          const floor = Math.min(...[...arm.band.low, ...arm.mean.y].filter((v) => v > 0));
          const low = state.y === "log" ? arm.band.low.map((v) => (v > 0 ? v : floor)) : arm.band.low;
          traces.push({ x: [...arm.band.x, ...[...arm.band.x].reverse()], y: [...arm.band.high, ...[...low].reverse()],
            fill: "toself", fillcolor: rgba(tint, 0.16), line: { width: 0 }, mode: "lines", hoverinfo: "skip", type: "scatter" });
        }
        for (const seed of arm.seeds ?? []) {
          traces.push({ x: seed.x, y: seed.y, mode: "lines", line: { color: rgba(tint, 0.5), width: 0.8 }, type: "scatter",
            name: `${arm.arm}, seed ${seed.seed}` });
        }
        traces.push({ x: arm.mean.x, y: arm.mean.y, mode: arm.mean.x.length > 1 ? "lines" : "markers", type: "scatter",
          line: { color: tint, width: 2, dash }, marker: { color: tint }, name: arm.arm });
      }
      const unit = data.units ? ` (${data.units})` : "";
      const log = (v) => (state.x === "log" ? Math.log10(Math.max(v, 1e-300)) : v);
      const range = state.window ? { range: state.window.map(log), autorange: false } : { autorange: true };
      const fixed = state.yRange ?? (runs.length > 1 ? state.shared : null);
      await Plotly.react(place, traces, layout({
        xaxis: { type: state.x, title: { text: "step" }, ...ticks(state.x, state.window ?? data.range.map((v) => Math.max(v, 1))), ...range },
        yaxis: { type: state.y, title: { text: data.label + unit }, ...ticks(state.y, data.arms.flatMap((a) => [a.summary.least, a.summary.most])), ...(fixed ? { range: fixed, autorange: false } : { autorange: true }) },
      }), CONFIG);
      listen(place);
      const seen = data.arms.filter((arm) => !state.hidden.has(arm.arm));
      place.setAttribute("aria-label", `${data.label} over steps, mean and range over seeds, of ${seen.map((a) => a.arm).join(", ")}; numbers in the table below`);
      figure.append(textTable(`Numbers of this plot (${data.points} steps)`, ["Arm", "Seeds", "First mean", "Last mean", "Least", "Most"],
        seen.map((a) => [a.arm, a.summary.seeds, a.summary.first, a.summary.last, a.summary.least, a.summary.most])));
    }
  }
  redraws.push(() => shown.length && draw());

  function listen(place) {
    if (place.dataset.listens) return;
    place.dataset.listens = "yes";
    place.on("plotly_relayout", (event) => {
      if (!("xaxis.range[0]" in event) && !("yaxis.range[0]" in event)) return;
      const back = (v) => (state.x === "log" ? 10 ** v : v);
      if ("xaxis.range[0]" in event) state.window = [back(event["xaxis.range[0]"]), back(event["xaxis.range[1]"])];
      if ("yaxis.range[0]" in event) state.yRange = [event["yaxis.range[0]"], event["yaxis.range[1]"]];
      load();
    });
    place.on("plotly_doubleclick", () => { state.window = state.yRange = null; load(); return false; });
  }

  look();
  return look;
}

function remarks(place, lines) {
  place.querySelector(":scope > .remarks")?.remove();
  if (lines.length) {
    place.append(element("div", { class: "notice remarks" }, [element("ul", {}, lines.slice(0, 20).map((line) => element("li", {}, [line])))]));
  }
}

// ---- phase diagrams

function phaseBox(box) {
  const base = `/api/runs/${box.dataset.phase}`;
  const [controls, plots] = [box.querySelector(".controls"), box.querySelector(".plots")];
  const state = { variable: "", x: "", y: "", at: {} };
  const newest = follows();
  let known = new Map(), place = null, data = null;

  async function look() {
    const answer = await getData(`${base}/variables`);
    known = new Map((answer.variables ?? []).filter((v) => v.axes.length > 1).map((v) => [v.name, v]));
    box.hidden = !known.size;
    if (!known.size) return;
    if (!known.has(state.variable)) choose([...known.keys()][0]);
    const key = JSON.stringify([...known.values()]);
    if (box.dataset.key !== key) { box.dataset.key = key; build(); }
    await load();
  }

  function choose(name) {
    const { axes } = known.get(name);
    Object.assign(state, { variable: name, at: {} });
    if (!axes.includes(state.x) || !axes.includes(state.y)) [state.x, state.y] = axes;
  }

  function build() {
    const focus = document.activeElement?.id;
    clear(controls);
    const about = known.get(state.variable);
    const add = (text, options, chosen, id, change) => {
      const control = select(options, chosen);
      control.addEventListener("change", () => { change(control.value); build(); load(); });
      controls.append(labelled(text, control, id));
    };
    add("Variable", [...known.values()].map((v) => [v.name, v.label]), state.variable, "phase-variable", choose);
    const axes = about.axes.map((name) => [name, name]);
    add("Across", axes, state.x, "phase-x", (value) => { if (value === state.y) state.y = state.x; state.x = value; state.at = {}; });
    add("Up", axes, state.y, "phase-y", (value) => { if (value === state.x) state.x = state.y; state.y = value; state.at = {}; });
    for (const dim of about.dims) {
      if (dim.name === state.x || dim.name === state.y || (dim.size < 2 && dim.name !== "arm")) continue;
      if (dim.name === "arm" || dim.name === "seed") {
        const options = dim.labels.map((label, i) => [i, label]);
        add(dim.name, dim.name === "seed" ? [["mean", "mean"], ...options] : options,
          state.at[dim.name] ?? (dim.name === "seed" ? "mean" : 0), `phase-${dim.name}`, (value) => { state.at[dim.name] = value; });
        continue;
      }
      const last = dim.name === "step" ? dim.size - 1 : 0;
      const slider = element("input", { type: "range", min: 0, max: dim.size - 1, step: 1, value: state.at[dim.name] ?? last });
      const label = (i) => (dim.labels ? dim.labels[i] : `position ${Number(i) + 1} of ${dim.size}`);
      const output = element("output", { for: `phase-${dim.name}`, "data-dim": dim.name }, [label(slider.value)]);
      slider.setAttribute("aria-valuetext", label(slider.value));
      slider.addEventListener("input", () => {
        state.at[dim.name] = slider.value;
        output.textContent = label(slider.value);
        slider.setAttribute("aria-valuetext", label(slider.value));
        load();
      });
      const control = labelled(dim.name, slider, `phase-${dim.name}`);
      control.append(output);
      controls.append(control);
    }
    if (!place) {
      place = element("div", { class: "plot", role: "img" });
      plots.append(element("figure", {}, [place]));
    }
    if (focus) document.getElementById(focus)?.focus();
  }

  function load() {
    return newest(async (current) => {
      const arms = known.get(state.variable).arms.length;
      let answer = await ask();
      if (!("arm" in state.at) && empty(answer)) { // begin with the first arm that has such a plane
        for (let arm = 1; arm < arms && current(); arm += 1) {
          const other = await ask({ arm });
          if (!empty(other)) {
            answer = other;
            state.at.arm = String(arm);
            const control = document.getElementById("phase-arm");
            if (control) control.value = String(arm);
            break;
          }
        }
      }
      if (current()) { data = answer; await draw(); }
    });
  }

  const empty = (answer) => !answer.error && answer.z.every((row) => row.every((v) => v === null));

  function ask(more = {}) {
    const query = new URLSearchParams({ variable: state.variable, x: state.x, y: state.y });
    for (const [dim, at] of Object.entries({ ...state.at, ...more })) query.set(`at.${dim}`, at);
    return getData(`${base}/phase?${query}`);
  }

  async function draw() {
    const figure = place.parentElement;
    figure.querySelector("details")?.remove();
    remarks(figure, data.error ? [data.error] : empty(data) ? ["nothing of this was measured here"] : []);
    if (data.error) return;
    const slider = document.getElementById("phase-step");
    if (slider && data.position !== null) slider.value = data.position;
    for (const output of controls.querySelectorAll("output[data-dim=step]")) output.textContent = `step ${data.at.step}`;
    const Plotly = await plotly();
    const unit = data.units ? ` (${data.units})` : "";
    await Plotly.react(place, [{ type: "heatmap", x: data.x, y: data.y, z: data.z, colorscale: "Viridis",
      colorbar: { title: { text: data.label + unit, side: "right" }, thickness: 14, outlinewidth: 0 },
      hovertemplate: `${data.x_label} %{x}<br>${data.y_label} %{y}<br>%{z}<extra></extra>` }], layout({
      xaxis: { type: data.x_scale, title: { text: data.x_label }, ...ticks(data.x_scale, data.x) },
      yaxis: { type: data.y_scale, title: { text: data.y_label }, ...ticks(data.y_scale, data.y) },
    }), CONFIG);
    place.setAttribute("aria-label", `${data.label} over ${data.x_label} and ${data.y_label}; numbers in the table below`);
    const thin = (list) => { const by = Math.ceil(list.length / 20); return [...list.keys()].filter((i) => i % by === 0); };
    const [rows, columns] = [thin(data.y), thin(data.x)];
    figure.append(textTable(`Numbers of this plot (${rows.length} of ${data.y.length} rows)`,
      [`${data.y_label} \\ ${data.x_label}`, ...columns.map((j) => data.x[j])],
      rows.map((i) => [data.y[i], ...columns.map((j) => data.z[i][j])])));
  }
  redraws.push(() => data && draw());

  look();
  return look;
}

// ---- maps

function mapBox(box) {
  const base = `/api/maps/${box.dataset.map}`;
  const [controls, plots] = [box.querySelector(".controls"), box.querySelector(".plots")];
  const newest = follows();
  let data = null, place = null;

  function load(at) {
    return newest(async (current) => {
      const answer = await getData(at === undefined ? base : `${base}?at=${at}`);
      if (!current()) return;
      if (answer.error) { clear(plots); remarks(plots, [answer.error]); return; }
      data = answer;
      if (!place) build();
      await draw();
    });
  }

  function build() {
    clear(plots);
    place = element("div", { class: "plot", role: "img" });
    plots.append(element("figure", {}, [place]));
    const saved = data.uniform_runs && data.runs ? `; a uniform grid takes ${data.uniform_runs} (${(data.uniform_runs / data.runs).toFixed(1)} times as many)` : "";
    box.insertBefore(element("p", {}, [`${data.claim ?? "inside"}: ${data.runs} runs${saved}.`]), controls);
    if (data.axes.length === 3) {
      const axis = data.axes[2];
      const slider = element("input", { type: "range", min: 0, max: axis.values.length - 1, step: 1, value: data.at });
      const output = element("output", { for: "map-slice" }, [String(axis.values[data.at])]);
      slider.addEventListener("input", () => {
        output.textContent = String(axis.values[slider.value]);
        slider.setAttribute("aria-valuetext", output.textContent);
        load(slider.value);
      });
      const control = labelled(axis.name, slider, "map-slice");
      control.append(output);
      controls.append(control);
    }
  }

  async function draw() {
    const Plotly = await plotly();
    const figure = place.parentElement;
    figure.querySelector("details")?.remove();
    const [x, y, z] = data.axes;
    const cells = data.cells, outline = { x: [], y: [] };
    let crossed = 0;
    if (y) {
      cells[`${x.name}_low`].forEach((low, i) => {
        if (z && !(cells[`${z.name}_low`][i] <= z.values[data.at] && z.values[data.at] <= cells[`${z.name}_high`][i])) return;
        crossed += 1;
        const high = cells[`${x.name}_high`][i], bottom = cells[`${y.name}_low`][i], top = cells[`${y.name}_high`][i];
        outline.x.push(low, high, high, low, low, null);
        outline.y.push(bottom, bottom, top, top, bottom, null);
      });
      await Plotly.react(place, [
        { type: "heatmap", x: x.values, y: y.values, z: data.inside, zmin: 0, zmax: 1, showscale: false,
          colorscale: [[0, rgba(PALETTE[0], 0.35)], [1, rgba(PALETTE[1], 0.55)]],
          hovertemplate: `${x.name} %{x}<br>${y.name} %{y}<br>inside %{z}<extra></extra>` },
        { type: "scatter", mode: "lines", ...outline, fill: "toself", fillcolor: colour("--text"), hoverinfo: "skip",
          line: { color: colour("--text"), width: 1 } },
      ], layout({ height: 480, xaxis: { type: x.scale, title: { text: x.name }, ...ticks(x.scale, x.values) },
        yaxis: { type: y.scale, title: { text: y.name }, ...ticks(y.scale, y.values) } }), CONFIG);
    } else {
      crossed = cells[`${x.name}_low`].length;
      const shapes = cells[`${x.name}_low`].map((low, i) => ({ type: "rect", yref: "paper", y0: 0, y1: 1, x0: low,
        x1: cells[`${x.name}_high`][i], fillcolor: rgba(PALETTE[1], 0.4), line: { width: 1, color: PALETTE[1] } }));
      await Plotly.react(place, [{ type: "scatter", mode: "markers", x: data.points.x, y: data.points.fraction, marker: { color: PALETTE[0] } }],
        layout({ shapes, xaxis: { type: x.scale, title: { text: x.name } }, yaxis: { title: { text: "share of runs inside" } } }), CONFIG);
    }
    const names = data.axes.map((axis) => axis.name);
    place.setAttribute("aria-label", `Where ${data.claim ?? "the regime"} holds, over ${names.join(" and ")}; the boundary crosses ${crossed} cells, listed below`);
    figure.append(element("p", { class: "small" }, [`Orange: ${data.claim ?? "inside"}; blue: not. The boxes hold the boundary.`]));
    while (figure.querySelectorAll(":scope > p").length > 1) figure.querySelector(":scope > p").remove();
    const count = Math.min(200, cells[`${x.name}_low`].length);
    figure.append(textTable(`Cells that the boundary crosses (${count} of ${cells[`${x.name}_low`].length})`,
      ["Cell", ...names.flatMap((name) => [`${name} from`, "to"])],
      [...Array(count).keys()].map((i) => [i + 1, ...names.flatMap((name) => [cells[`${name}_low`][i], cells[`${name}_high`][i]])])));
  }
  redraws.push(() => data && draw());
  load();
}
