/** What stands below the views: signals, legend. */

import { LAMPS, SIZES, shown, stateAt } from "./clip.js";
import { make } from "./svg.js";
import { KINDS, PLACES, STATES, number, say } from "./words.js";

export function lampPanel(clip, plate) {
  if (!clip.lamps.length) return null;
  const element = make("ul", { class: "nm-signals", "aria-label": say("Signals") });
  const rows = clip.lamps.map((lamp) => {
    const row = make("li", {});
    const name = make("b", {});
    name.textContent = lamp.group;
    const words = make("span", {});
    const places = (plate ? plate.zones : []).filter((zone) => zone.group === lamp.group && zone.kind !== "signal_head");
    if (places.length) row.title = places.map((zone) => `${say(PLACES[zone.kind])} ${zone.id}`).join(", ");
    row.append(make("i", { "aria-hidden": "true" }), name, words);
    element.append(row);
    return { row, words, changes: lamp.changes };
  });
  return {
    element,
    draw(time) {
      for (const { row, words, changes } of rows) {
        const now = stateAt(changes, time);
        row.dataset.state = shown(now, time) ? LAMPS[now].lit[0] || now : "off";
        const since = changes.filter((change, n) => n > 0 && change.at_s <= time).pop();
        const state = say(STATES[now]);
        // Before its first change in the clip it has been so for as long as the clip shows, and longer.
        words.textContent = since
          ? say("{state}, {n} s", { state, n: number(time - since.at_s, 1) })
          : say("{state}, more than {n} s", { state, n: number(time - clip.start_s, 1) });
      }
    },
  };
}

export function legend(clip) {
  const box = make("details", { class: "nm-legend" });
  const summary = make("summary", {});
  summary.textContent = say("Legend");
  const list = make("ul", {});
  const entry = (classes, words) => {
    const item = make("li", {});
    item.append(make("i", { class: classes, "aria-hidden": "true" }), words);
    list.append(item);
  };
  const kinds = Object.keys(SIZES).filter((kind) => clip.glyphs.some((glyph) => glyph.kind === kind));
  for (const kind of kinds) entry(`nm-key nm-kind-${kind}`, say(KINDS[kind]));
  if (clip.glyphs.some((glyph) => glyph.role !== "other")) entry("nm-key nm-key-involved", say("has a part in the event"));
  entry("nm-key nm-key-hollow", say("hollow: nothing moved in its box just then, so it stands still or is not there"));
  if (clip.movers.length) entry("nm-key nm-key-mover", say("something moved that no road user explains"));
  entry("nm-key nm-key-spot", say("where the event happened"));
  const words = make("p", {});
  words.textContent = say(
    "Shapes have one size and colour per class; places are rounded to 4 px and 0.25 m. Numbers are drawn by lot for this clip.",
  );
  const keys = make("p", {});
  keys.textContent = say("Keys: space play, ← → 0.1 s (shift: 1 s), 0 the event, home and end, + − speed, L loop.");
  box.append(summary, list, words, keys);
  // Where there is room, what a hollow shape means need not be looked for.
  box.open = matchMedia("(min-width: 62rem) and (min-height: 40rem)").matches;
  return box;
}
