/** The player's words: rules, measures with their units, states of a signal. */

export const RULES = {
  red_light_entry: "Red-light entry",
  right_on_red_without_stop: "Right on red without a stop",
  amber_entry: "Entry on amber",
  pedestrian_against_signal: "Crossing against the signal",
  pedestrian_late_start: "Late start (flashing don't walk)",
  crossing_outside_crosswalk: "Crossing outside the crosswalk",
  wrong_way: "Wrong way",
  blocking_box: "Blocking the box",
  failure_to_yield: "Failure to yield at a crosswalk",
  near_miss: "Near miss",
};

export const MEASURES = {
  into_red_s: ["into red", "s"],
  into_amber_s: ["into amber", "s"],
  into_clearance_s: ["into flashing don't walk", "s"],
  into_dont_walk_s: ["into don't walk", "s"],
  speed_mps: ["speed", "m/s"],
  speed_at_onset_mps: ["speed at onset", "m/s"],
  distance_at_onset_m: ["distance to the line at onset", "m"],
  min_speed_mps: ["lowest speed", "m/s"],
  outside_m: ["outside the crosswalk by", "m"],
  pet_s: ["post-encroachment time (PET)", "s"],
  ttc_s: ["time to collision (TTC), least", "s"],
  drac_mps2: ["deceleration to avoid a crash (DRAC)", "m/s²"],
  conflict_speed_mps: ["conflict speed", "m/s"],
  wrong_way_m: ["against the direction for", "m"],
  inside_at_red_s: ["inside at red for", "s"],
  gap_s: ["gap", "s"],
};

export const STATES = {
  red: { words: "red", lit: ["red"] },
  red_amber: { words: "red and amber", lit: ["red", "amber"] },
  amber: { words: "amber", lit: ["amber"] },
  green: { words: "green", lit: ["green"] },
  flashing_red: { words: "flashing red", lit: ["red"], flashes: true },
  flashing_amber: { words: "flashing amber", lit: ["amber"], flashes: true },
  dark: { words: "dark", lit: [] },
  unknown: { words: "unknown", lit: [], unknown: true },
};

export function numberText({ value, sigma }, unit) {
  if (sigma === null) return `${value.toFixed(1)} ${unit} (error unknown)`;
  const digits = sigma < 0.095 ? 2 : sigma < 9.5 ? 1 : 0;
  return `${value.toFixed(digits)} ± ${sigma.toFixed(digits)} ${unit}`;
}

export function describe(clip, event) {
  const counts = new Map();
  for (const glyph of clip.glyphs) counts.set(glyph.kind, (counts.get(glyph.kind) || 0) + 1);
  const users = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ") || "nobody";
  return event ? `${RULES[event.rule] || event.rule} at ${event.place}; ${users}` : users;
}
