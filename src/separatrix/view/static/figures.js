// The study's own figures: each is drawn by the server when it comes into sight, and again when the results change.
import { element, getData } from "./parts.js";

const MIN_PAUSE = 5000; // between drawing anew, in milliseconds

export function begin(section, onChange) {
  const base = `/api/runs/${section.dataset.figures}/figures`;
  const wanted = new Set(), seen = new Set();
  let busy = false, stamp = null, last = 0;

  async function show(box) {
    const answer = await getData(`${base}/${box.dataset.figure}`);
    const place = box.querySelector(".drawing");
    place.removeAttribute("aria-busy");
    if (answer.svg) {
      if (place.dataset.svg === answer.svg) return;
      place.dataset.svg = answer.svg;
      place.innerHTML = answer.svg; // made and escaped by our own server
    } else {
      delete place.dataset.svg;
      place.replaceChildren(element("p", { class: "small" }, [answer.missing ?? answer.error]));
    }
  }

  async function work() {
    if (busy) return;
    busy = true;
    for (let box; ([box] = wanted) && box;) { // one at a time: drawing is work for the server
      wanted.delete(box);
      await show(box).catch(() => {}); // the states of the cells tell that the view does not answer
    }
    busy = false;
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || seen.has(entry.target)) continue;
      seen.add(entry.target);
      wanted.add(entry.target);
    }
    work();
  }, { rootMargin: "300px" });
  for (const box of section.querySelectorAll("[data-figure]")) watcher.observe(box);

  onChange((told) => {
    const first = stamp === null;
    if (told === stamp) return;
    stamp = told;
    if (first) return;
    setTimeout(() => { last = Date.now(); for (const box of seen) wanted.add(box); work(); },
      Math.max(0, last + MIN_PAUSE - Date.now()));
  });
}
