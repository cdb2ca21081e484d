// The sheet of checks: mistakes, doubts, known lengths, and tracks replayed on the plan.

import { button, field, h, number } from "./fields.js";
import { legend } from "./legend.js";

export function checks(panel) {
  const { editor } = panel, { fit } = editor;
  const lines = (list, kind, none) => (list?.length ? h("ul", { class: kind }, ...list.map((each) => h("li", {}, each))) : h("p", { class: "faint" }, none));
  const parts = [
    h("h3", {}, "Mistakes"), lines(fit?.mistakes, "bad", "none: it can be saved"),
    h("h3", {}, "Doubts"), lines(fit?.warnings, "doubt", "none"),
    h("h3", {}, "Known lengths ", button("Measure", () => editor.use("lengths"), { class: "quiet small" })),
  ];
  const lengths = editor.rows("lengths");
  if (!lengths.length) parts.push(h("p", { class: "faint" }, "The width of a lane, the length of a stripe: click its ends and see whether the metres agree."));
  lengths.forEach((each, index) => {
    const found = fit?.lengths?.[index];
    const off = found?.measured_m != null ? found.measured_m - each.length_m : null;
    const fits = off !== null && Math.abs(off) <= Math.max(2 * (found.sigma_m ?? 0), 0.03 * each.length_m);
    const chosen = editor.selected?.table === "lengths" && editor.selected.index === index;
    parts.push(h("div", { class: chosen ? "place chosen" : "place" }, h("div", { class: "row" },
      field("expected, m", number(`lengths.${index}.length_m`, each.length_m, (value) => value > 0 && editor.edit((document) => { document.ground_plane.lengths[index].length_m = value; }), { label: `expected length ${index + 1}` })),
      h("span", { class: off === null ? "faint" : fits ? "good" : "wrong" }, off === null ? "not on the ground" : `measured ${found.measured_m.toFixed(2)} ± ${(found.sigma_m ?? 0).toFixed(2)} m, ${off >= 0 ? "+" : "−"}${Math.abs(off).toFixed(2)}`),
      button("×", () => { editor.selected = { table: "lengths", index }; editor.remove(); }, { class: "quiet small", title: "Delete it" }))));
  });
  if (editor.tracks) parts.push(...replay(panel));
  parts.push(legend(panel));
  return parts;
}

function replay(panel) {
  const { editor } = panel, { tracks } = editor;
  const slider = h("input", { type: "range", min: tracks.start, max: tracks.end, step: "any", value: editor.time || tracks.start, "aria-label": "Time", oninput: (event) => { editor.time = Number(event.target.value); editor.draw(); } });
  const play = button(panel.playing ? "Pause" : "Play", () => {
    panel.playing = !panel.playing;
    play.textContent = panel.playing ? "Pause" : "Play";
    let last = performance.now();
    const tick = (now) => {
      if (!panel.playing) return;
      editor.time = (editor.time || tracks.start) + (now - last) / 1000;
      if (editor.time > tracks.end) editor.time = tracks.start;
      last = now;
      const there = panel.sheet.querySelector("input[type=range]");
      if (there) there.value = editor.time;
      editor.draw();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  return [
    h("h3", {}, "Tracks on the plan"), h("div", { class: "row" }, play, slider),
    h("table", {}, h("thead", {}, h("tr", {}, ...["kind", "tracks", "median km/h", "fastest", "odd"].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, ...tracks.kinds.map((each) => h("tr", {}, h("th", { scope: "row" }, each.kind), ...[each.count, (3.6 * each.median_mps).toFixed(0), (3.6 * each.fastest_mps).toFixed(0), each.odd].map((cell) => h("td", { class: "number" }, `${cell}`)))))),
    h("p", { class: "faint" }, "Odd: faster than its kind goes. Where many are, the metres are wrong there."),
  ];
}
