/** What stands below the views: signals, numbers, legend. */

import { SIZES, shown, stateAt } from "./clip.js";
import { draw, make } from "./svg.js";
import { MEASURES, RULES, STATES, numberText } from "./words.js";

export function lampPanel(clip) {
  if (!clip.lamps.length) return null;
  const element = make("ul", { class: "nm-signals", "aria-label": "Signals" });
  const rows = clip.lamps.map((lamp) => {
    const row = make("li", {});
    const name = make("b", {});
    name.textContent = lamp.group;
    const words = make("span", {});
    row.append(make("i", { "aria-hidden": "true" }), name, words);
    element.append(row);
    return { row, words, changes: lamp.changes };
  });
  return {
    element,
    draw(time) {
      for (const { row, words, changes } of rows) {
        const now = stateAt(changes, time);
        row.dataset.state = shown(now, time) ? STATES[now].lit[0] || now : "off";
        const since = changes.filter((change, n) => n > 0 && change.at_s <= time).pop();
        words.textContent = STATES[now].words + (since ? `, ${(time - since.at_s).toFixed(1)} s` : "");
      }
    },
  };
}

export function numberPanel(event) {
  const list = make("dl", { class: "nm-numbers" });
  const row = (term, text) => {
    const pair = make("div", {});
    const name = make("dt", {});
    const value = make("dd", {});
    name.textContent = term;
    value.textContent = text;
    pair.append(name, value);
    list.append(pair);
  };
  row("rule", (RULES[event.rule] || event.rule) + (event.outcome === "undecidable" ? ", could not be decided" : ""));
  row("place", event.place);
  if (event.signal) row("signal", `${event.signal.group} ${(STATES[event.signal.state] || STATES.unknown).words}`);
  for (const [name, measure] of Object.entries(event.measures || {})) {
    const [term, unit] = MEASURES[name] || [name, ""];
    row(term, numberText(measure, unit));
  }
  return list;
}

export function legend(clip) {
  const box = make("details", { class: "nm-legend" });
  const summary = make("summary", {});
  summary.textContent = "Legend";
  const list = make("ul", {});
  const entry = (classes, words) => {
    const item = make("li", {});
    item.append(make("i", { class: classes, "aria-hidden": "true" }), words);
    list.append(item);
  };
  const kinds = Object.keys(SIZES).filter((kind) => clip.glyphs.some((glyph) => glyph.kind === kind));
  for (const kind of kinds) entry(`nm-key nm-kind-${kind}`, kind);
  if (clip.glyphs.some((glyph) => glyph.role !== "other")) entry("nm-key nm-key-involved", "has a part in the event");
  entry("nm-key nm-key-hollow", "hollow: nothing moved in its box just then, so it stands still or is not there");
  if (clip.movers.length) entry("nm-key nm-key-mover", "something moved that no road user explains");
  entry("nm-key nm-key-spot", "where the event happened");
  const words = make("p", {});
  words.textContent =
    "Shapes have one size and colour per class; places are rounded to 4 px and 0.25 m. Numbers are drawn by lot for this clip.";
  const keys = make("p", {});
  keys.textContent = "Keys: space play, ← → 0.1 s (shift: 1 s), 0 the event, home and end, + − speed, L loop.";
  box.append(summary, list, words, keys);
  return box;
}
