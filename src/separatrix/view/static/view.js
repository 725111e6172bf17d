// What is alive on the pages: states of cells, verdicts, and the boxes that hold plots.
import { clear, element, getData } from "./parts.js";

const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
const MARKS = { done: "✓", running: "▶", waiting: "…", interrupted: "‖", failed: "✗", stopped: "‖" };

function say(text) {
  const place = document.getElementById("announce");
  if (place && place.textContent !== text) place.textContent = text;
}

function statePill(state, text = state) {
  return element("span", { class: `pill state ${state}` }, [
    element("span", { "aria-hidden": "true" }, [`${MARKS[state] ?? ""} `]),
    text,
  ]);
}

/** Call `look` again and again: often while it says that something moves, seldom otherwise, never while hidden. */
function poll(look) {
  let timer = 0;
  async function turn() {
    clearTimeout(timer);
    let wait = 5000;
    if (!document.hidden) {
      try {
        wait = await look();
      } catch {
        say("The view does not answer; it may have been stopped.");
      }
    }
    if (wait) timer = setTimeout(turn, wait);
  }
  document.addEventListener("visibilitychange", () => document.hidden || turn());
  turn();
  return turn;
}

// ---- a job that this view started

async function stopJob(job, again) {
  await fetch(`/jobs/${job}/stop`, { method: "POST", body: new URLSearchParams({ csrf }) });
  again();
}

function showJob(box, job, again) {
  if (!box) return;
  box.hidden = !job || (job.state === "done" && !job.asked);
  const text = JSON.stringify(job);
  if (box.hidden || box.dataset.shown === text) return;
  box.dataset.shown = text;
  const focused = box.contains(document.activeElement);
  clear(box);
  box.className = "job";
  const words = {
    running: job.asked ? "stopping at the next chunk" : "running",
    done: "finished", stopped: "stopped; what was computed is kept", failed: "failed",
  };
  const line = element("p", {}, [statePill(job.state === "done" ? "done" : job.state, words[job.state])]);
  box.append(line);
  if (job.state === "running") {
    const button = element("button", { type: "button" }, [job.asked ? "Stop at once" : "Stop this run"]);
    button.addEventListener("click", () => { button.disabled = true; stopJob(job.id, again); });
    line.append(" ", button);
    if (focused) button.focus();
  }
  if (job.lines.length && job.state !== "done") box.append(element("pre", {}, [job.lines.join("\n")]));
  say(`Run ${words[job.state]}`);
}

// ---- the cells of a run

function sparkline(name, points) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const all = ys.every((y) => y > 0) && Math.max(...ys) / Math.min(...ys) > 50 ? ys.map(Math.log10) : ys;
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...all), Math.max(...all)];
  const at = points.map((_, i) =>
    `${(2 + 116 * ((xs[i] - x0) / (x1 - x0 || 1))).toFixed(1)},${(34 - 30 * ((all[i] - y0) / (y1 - y0 || 1))).toFixed(1)}`);
  svg.setAttribute("viewBox", "0 0 120 36");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "polyline");
  line.setAttribute("points", at.join(" "));
  svg.append(line);
  const last = ys[ys.length - 1];
  return element("figure", { class: "spark" }, [
    element("figcaption", {}, [`${name} ${Number(last.toPrecision(4))}${all !== ys ? " (log)" : ""}`]), svg,
  ]);
}

function place(cell, about) {
  const point = Object.entries(about.point ?? {}).map(([key, value]) => `${key} ${value}`);
  return [about.arm ?? cell, about.seeds ? `seeds ${about.seeds}` : "", ...point].filter(Boolean).join(", ");
}

function liveCell(cell, about) {
  const card = element("article", { class: "cell", "data-cell": cell }, [
    element("h3", {}, [place(cell, about), " ", statePill(about.state)]),
  ]);
  if (about.steps) {
    const share = Math.round((100 * about.step) / about.steps);
    const bar = element("progress", { max: about.steps, value: about.step, "aria-label": `steps of ${place(cell, about)}` });
    card.append(bar, element("p", { class: "small" }, [`${about.label}: step ${about.step} of ${about.steps} (${share} %)`]));
  } else {
    card.append(element("p", { class: "small" }, ["compiling, or before the first steps"]));
  }
  const curves = Object.entries(about.curves ?? {});
  if (curves.length) card.append(element("div", { class: "sparks" }, curves.map(([name, points]) => sparkline(name, points))));
  return card;
}

function runPage(article) {
  const base = `/api/runs/${article.dataset.run}`;
  const part = (name) => article.querySelector(`[data-${name}]`);
  const cells = new Map();
  let mark = "", stamp = null, judgedAt = 0;
  const stampListeners = [];

  async function judge() {
    const answer = await getData(`${base}/verdicts`);
    const box = part("verdicts");
    stamp = answer.stamp ?? stamp; // if it rests on the cells of a moment ago, it is asked for again
    if (answer.error) { clear(box); box.append(element("p", { class: "notice" }, [answer.error])); return; }
    if (box.dataset.html !== answer.html) {
      box.dataset.html = answer.html;
      box.innerHTML = answer.html; // made and escaped by our own server
    }
  }

  function show(answer) {
    const total = Object.values(answer.counts).reduce((a, b) => a + b, 0);
    const box = part("states");
    clear(box);
    const pills = Object.entries(answer.counts).filter(([, n]) => n).map(([state, n]) => statePill(state, `${n} ${state}`));
    const list = element("ul", { class: "tally", "aria-label": `${total} cells` }, pills.map((pill) => element("li", {}, [pill])));
    box.append(total ? list : element("p", { class: "small" }, ["no cells yet"]));
    if (total) box.append(element("progress", { max: total, value: answer.counts.done, "aria-label": "finished cells" }));
    const arms = Object.entries(answer.arms);
    if (arms.length > 1 && answer.counts.done < total) {
      box.append(element("ul", { class: "arms-done" }, arms.map(([arm, n]) =>
        element("li", {}, [`${arm}: ${n.done} of ${n.all}`]))));
    }
    const live = [...cells].filter(([, about]) => ["running", "interrupted"].includes(about.state)).slice(0, 24);
    const kept = new Set(live.map(([cell]) => cell));
    for (const card of [...part("live").children]) if (!kept.has(card.dataset.cell)) card.remove();
    for (const [cell, about] of live) {
      if (!(cell in answer.cells)) continue;
      const old = part("live").querySelector(`[data-cell="${cell}"]`);
      const card = liveCell(cell, about);
      old ? old.replaceWith(card) : part("live").append(card);
    }
    const failed = [...cells].filter(([, about]) => about.state === "failed");
    const place_ = part("failed");
    const key = JSON.stringify(failed);
    if (place_.dataset.key !== key) {
      place_.dataset.key = key;
      clear(place_);
      if (failed.length) {
        place_.append(element("div", { class: "notice" }, [
          element("b", {}, [`${failed.length} failed`]),
          element("ul", {}, failed.slice(0, 50).map(([cell, about]) =>
            element("li", {}, [element("b", {}, [place(cell, about)]), `: ${about.message ?? "no message"}`]))),
        ]));
      }
    }
  }

  const again = poll(async () => {
    const answer = await getData(`${base}/state?mark=${mark}`);
    if (answer.error) {
      clear(part("states"));
      part("states").append(element("p", { class: "notice" }, [answer.error]));
      return 5000;
    }
    if ("loading" in article.dataset && answer.ready) { location.reload(); return 0; }
    if (answer.whole) cells.clear();
    for (const [cell, about] of Object.entries(answer.cells)) {
      if (["running", "interrupted", "failed"].includes(about.state)) cells.set(cell, about);
      else cells.delete(cell);
    }
    if (answer.mark !== mark) {
      mark = answer.mark;
      show(answer);
    }
    showJob(part("job-box"), answer.job, again);
    if (answer.stamp !== stamp && (stamp === null || !answer.counts.running || Date.now() - judgedAt > 3000)) {
      stamp = answer.stamp;
      judgedAt = Date.now();
      const total = Object.values(answer.counts).reduce((a, b) => a + b, 0);
      judge().then(() => { if (answer.counts.done === total && total) say("All cells are done"); });
      for (const told of stampListeners) told(stamp);
    }
    return answer.counts.running || answer.job?.state === "running" || !answer.ready ? 1000 : 5000;
  });
  allCells(part("all-cells"), base);
  return (told) => stampListeners.push(told);
}

function allCells(details, base) {
  const box = details.querySelector("[data-cell-table]");
  let page = 1, state = "";
  async function show() {
    const answer = await getData(`${base}/cells?page=${page}&state=${state}`);
    clear(box);
    if (answer.error) { box.append(element("p", { class: "notice" }, [answer.error])); return; }
    const choose = element("select", { id: "cell-state" }, ["", "waiting", "running", "interrupted", "done", "failed"].map((name) =>
      element("option", name === state ? { value: name, selected: "" } : { value: name }, [name || "all"])));
    choose.addEventListener("change", () => { state = choose.value; page = 1; show().then(() => box.querySelector("select").focus()); });
    const turn = (text, by, id) => {
      const button = element("button", { type: "button", id }, [text]);
      button.disabled = page + by < 1 || page + by > answer.pages;
      button.addEventListener("click", () => { page += by; show().then(() => document.getElementById(id).focus()); });
      return button;
    };
    box.append(element("div", { class: "controls" }, [
      element("label", { for: "cell-state" }, ["State "]), choose,
      turn("Previous", -1, "cells-back"), turn("Next", 1, "cells-on"),
      element("span", { class: "small" }, [`page ${answer.page} of ${answer.pages}, ${answer.all} cells`]),
      again(),
    ]));
    const head = ["Cell", "State", "Arm", "Seeds", "Point", "Message"].map((name) => element("th", { scope: "col" }, [name]));
    const rows = answer.rows.map((row) => element("tr", {}, [
      element("th", { scope: "row" }, [element("code", {}, [row.cell])]),
      element("td", {}, [statePill(row.state), row.steps ? ` ${row.step} of ${row.steps}` : ""]),
      element("td", {}, [row.arm ?? "–"]), element("td", {}, [row.seeds ?? "–"]),
      element("td", {}, [Object.entries(row.point ?? {}).map(([k, v]) => `${k}=${v}`).join(", ") || "–"]),
      element("td", {}, [row.message ?? ""]),
    ]));
    box.append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cells" }, [
      element("table", {}, [element("thead", {}, [element("tr", {}, head)]), element("tbody", {}, rows)])]));
  }
  function again() {
    const button = element("button", { type: "button", id: "cells-again" }, ["Refresh"]);
    button.addEventListener("click", () => show().then(() => document.getElementById("cells-again").focus()));
    return button;
  }
  details.addEventListener("toggle", () => details.open && show());
}

// ---- the first page

function indexPage(form) {
  const most = () => {
    const chosen = form.querySelectorAll("input[name=run]:checked");
    form.querySelector(".error").textContent = "";
    return chosen.length;
  };
  form.addEventListener("change", most);
  form.addEventListener("submit", (event) => {
    if (most() !== 2) {
      event.preventDefault();
      form.querySelector(".error").textContent = "Choose two runs.";
    }
  });
  poll(async () => {
    const answer = await getData("/api/runs");
    let moves = false;
    for (const [name, shown] of Object.entries(answer.runs ?? {})) {
      const row = form.querySelector(`[data-run="${CSS.escape(name)}"]`);
      if (!row) continue;
      moves ||= shown.verdicts.includes("judging") || shown.states.includes("running");
      for (const part of ["states", "verdicts"]) {
        const box = row.querySelector(`.${part}`);
        if (box.dataset.html !== shown[part]) {
          box.dataset.html = shown[part];
          box.innerHTML = shown[part]; // made and escaped by our own server
        }
      }
    }
    return moves ? 1000 : 5000;
  });
}

function pendingPage(box) {
  const again = poll(async () => {
    const answer = await getData(`/api/runs/${box.dataset.pending}/state`);
    if (answer.error) return 1000;
    if (!answer.pending) { location.reload(); return 0; }
    showJob(box.querySelector("[data-job-box]"), answer.job, again);
    return answer.job.state === "running" ? 500 : 5000;
  });
}

function tracingPage(box) {
  const base = `/api/maps/${box.dataset.tracing}`;
  const again = poll(async () => {
    const answer = await getData(`${base}/state`);
    if (answer.error) return 5000;
    if (answer.stamp !== box.dataset.stamp) { location.reload(); return 0; }
    showJob(box.querySelector("[data-job-box]"), answer.job, again);
    const moves = answer.job?.state === "running";
    const told = moves || answer.stamp === "0" ? `${answer.runs.toLocaleString("en")} runs so far` : "";
    if (box.querySelector("[data-runs]").textContent !== told) box.querySelector("[data-runs]").textContent = told;
    return moves || answer.stamp === "0" ? 1000 : 5000;
  });
}

/** Put the values that a setting suggests into the empty fields of its axis, or into those with the last suggestion. */
function suggestValues(choice) {
  const row = choice.dataset.axis;
  const fields = ["values", "low", "high"].map((part) => [part, document.getElementById(`${row}-${part}`)]);
  let before = { ...choice.selectedOptions[0].dataset };
  choice.addEventListener("change", () => {
    const now = choice.selectedOptions[0].dataset;
    for (const [part, field] of fields) {
      if (field && (field.value === "" || field.value === before[part])) field.value = now[part] ?? "";
    }
    const log = document.getElementById(`${row}-log`);
    if (log) log.checked = "log" in now;
    before = { ...now };
  });
}

const article = document.querySelector("article[data-run]");
const form = document.querySelector("form[data-runs]");
const pending = document.querySelector("[data-pending]");
const onChange = article ? runPage(article) : () => {};
if (form) indexPage(form);
if (pending) pendingPage(pending);
const tracing = document.querySelector("[data-tracing]");
if (tracing) tracingPage(tracing);
document.querySelectorAll("select[data-axis]").forEach(suggestValues);
const plotted = document.querySelector("[data-curves], [data-phase], [data-map]");
if (plotted) import("./plots.js").then((plots) => plots.begin(onChange));
const figures = document.querySelector("[data-figures]");
if (figures) import("./figures.js").then((drawing) => drawing.begin(figures, onChange));
