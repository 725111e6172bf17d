// Small pieces that all scripts share.

/** Make an element. Text goes in as text, never as HTML. */
export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function clear(place) {
  place.replaceChildren();
}

export async function getData(address) {
  const response = await fetch(address, { headers: { accept: "application/json" } });
  if (!response.ok) return { error: (await response.text()).slice(0, 300) || response.statusText };
  return response.json();
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F"];

/** A labelled control. */
export function labelled(text, control, id) {
  control.id = id;
  return element("span", { class: "control" }, [element("label", { for: id }, [text]), control]);
}

export function select(options, chosen) {
  return element("select", {}, options.map(([value, text]) =>
    element("option", String(value) === String(chosen) ? { value, selected: "" } : { value }, [text])));
}

/** A table of text, the alternative to a plot. */
export function textTable(name, head, rows) {
  return element("details", { class: "numbers" }, [
    element("summary", {}, [name]),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, [
      element("table", {}, [
        element("thead", {}, [element("tr", {}, head.map((text) => element("th", { scope: "col" }, [text])))]),
        element("tbody", {}, rows.map(([first, ...rest]) => element("tr", {}, [
          element("th", { scope: "row" }, [String(first)]),
          ...rest.map((value) => element("td", { class: "number" }, [value === null || value === undefined ? "–" : String(value)])),
        ]))),
      ]),
    ]),
  ]);
}

let loading = null;
/** The plotting library, loaded from our own server when the first plot needs it. */
export function plotly() {
  loading ??= new Promise((done, failed) => {
    const script = element("script", { src: document.querySelector("meta[name=plotly]").content });
    script.addEventListener("load", () => done(window.Plotly));
    script.addEventListener("error", () => failed(new Error("the plotting library could not be loaded")));
    document.head.append(script);
  });
  return loading;
}

export function layout(more) {
  const text = colour("--text"), line = colour("--line");
  const axis = { color: text, gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, ticks: "outside", tickcolor: line };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, autosize: true, height: 380,
    font: { color: text, family: getComputedStyle(document.body).fontFamily, size: 13 },
    margin: { l: 56, r: 20, t: 12, b: 44 }, hovermode: "closest",
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: line, font: { color: text } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    ...more,
    xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
  };
}

export const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
