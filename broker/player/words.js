/** The player's words: English as it stands, in another language once a page has handed over its table. */

let code = "en";
let table = {};

/** Say all that follows in a language: its code, and English to its own words (broker/collector/review/languages). */
export function speak(language, translations) {
  code = language;
  table = translations;
}

/** Words in the language that is spoken; `{name}` stands for a value. */
export function say(text, values = {}) {
  return (table[text] || text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A number as the language writes it, with so many digits behind the point. */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(code, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Seconds with their sign, such as "−0.3 s". */
export function seconds(value) {
  const sign = value < -0.05 ? "−" : value > 0.05 ? "+" : "";
  return say("{n} s", { n: sign + number(Math.abs(value), 1) });
}

/** Marks words that are said where they are shown. */
const N_ = (text) => text;

// As in broker/collector/review/words.py.
export const RULES = {
  red_light_entry: N_("Red-light entry"),
  right_on_red_without_stop: N_("Right on red without a stop"),
  amber_entry: N_("Entry on amber"),
  pedestrian_against_signal: N_("Pedestrian against the signal"),
  pedestrian_late_start: N_("Pedestrian started late"),
  crossing_outside_crosswalk: N_("Crossing outside the crosswalk"),
  wrong_way: N_("Wrong way"),
  blocking_box: N_("Blocking the box"),
  failure_to_yield: N_("Failure to yield"),
  near_miss: N_("Near miss"),
};

export const KINDS = {
  pedestrian: N_("pedestrian"),
  bicycle: N_("bicycle"),
  motorcycle: N_("motorcycle"),
  car: N_("car"),
  bus: N_("bus"),
  truck: N_("truck"),
};

export const STATES = {
  red: N_("red"),
  red_amber: N_("red and amber"),
  amber: N_("amber"),
  green: N_("green"),
  flashing_red: N_("flashing red"),
  flashing_amber: N_("flashing amber"),
  dark: N_("dark"),
  unknown: N_("unknown"),
};

export const PLACES = {
  crosswalk: N_("crosswalk"),
  stop_line: N_("stop line"),
  roadway: N_("roadway"),
  signal_head: N_("signal"),
};

/** A clip in a line, for those who do not see it. */
export function describe(clip, event) {
  const counts = new Map();
  for (const glyph of clip.glyphs) counts.set(glyph.kind, (counts.get(glyph.kind) || 0) + 1);
  const users = [...counts].map(([kind, count]) => `${number(count)} ${say(KINDS[kind])}`).join(", ") || say("nobody");
  return event ? `${say("{rule} at {place}", { rule: say(RULES[event.rule]), place: event.place })}; ${users}` : users;
}
