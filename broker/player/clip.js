/** What a clip says of an instant: where a road user is, what a lamp shows. The records are broker/wire.py's. */

import { distance } from "./geometry.js";

export const SNAP_PX = 4;
export const SNAP_M = 0.25;
export const SNAP_DEG = 15;

/** Length, width and height in metres of the one shape of each class. */
export const SIZES = {
  pedestrian: [0.6, 0.6, 1.7],
  bicycle: [1.8, 0.7, 1.75],
  motorcycle: [2.1, 0.8, 1.6],
  car: [4.4, 1.8, 1.5],
  bus: [12.0, 2.55, 3.1],
  truck: [8.5, 2.5, 3.3],
};

export const UPRIGHT = new Set(["pedestrian", "bicycle", "motorcycle"]);
export const metres = ([x, y]) => [x * SNAP_M, y * SNAP_M];

/** What each state of a signal lights. */
export const LAMPS = {
  red: { lit: ["red"] },
  red_amber: { lit: ["red", "amber"] },
  amber: { lit: ["amber"] },
  green: { lit: ["green"] },
  flashing_red: { lit: ["red"], flashes: true },
  flashing_amber: { lit: ["amber"], flashes: true },
  dark: { lit: [] },
  unknown: { lit: [], unknown: true },
};

/** Where a glyph is at a (fractional) step: `{px, m, heading}`, or null where it is not seen. */
export function placeAt(keys, step) {
  let low = 0;
  let high = keys.length - 1;
  if (step < keys[0][0] - 1e-9) return null;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (keys[middle][0] <= step + 1e-9) low = middle;
    else high = middle - 1;
  }
  const here = keys[low];
  if (here[1] === null && here[3] === null) return null;
  // The last key is the last step it was seen at: nothing is known a step later.
  if (low === keys.length - 1 && step > here[0] + 1) return null;
  const next = keys[low + 1];
  const moves = next && (next[1] !== null || next[3] !== null);
  const share = moves ? (step - here[0]) / (next[0] - here[0]) : 0;
  const mix = (n) => (moves && next[n] !== null ? here[n] + share * (next[n] - here[n]) : here[n]);
  let heading = null;
  if (here[5] >= 0) {
    const full = 360 / SNAP_DEG;
    const turn = moves && next[5] >= 0 ? ((next[5] - here[5] + 1.5 * full) % full) - full / 2 : 0;
    heading = ((here[5] + share * turn) * SNAP_DEG * Math.PI) / 180;
  }
  return {
    px: here[1] === null ? null : [mix(1) * SNAP_PX, mix(2) * SNAP_PX],
    m: here[3] === null ? null : [mix(3) * SNAP_M, mix(4) * SNAP_M],
    heading,
  };
}

/**
 * Keys with the headings of standing vehicles held: what stands does not turn, its box's noise does.
 *
 * Who is slower than half a metre a second keeps the heading they came with, else take the one they leave with; that
 * of two metres off, for the first and last of a way are as noisy.
 */
export function steadied(keys, stepS) {
  const around = Math.max(1, Math.round(0.6 / stepS));
  const moves = keys.map(([step, , , x, y, heading]) => {
    if (x === null || heading < 0) return false;
    const far = [-around, around].map((n) => {
      const place = placeAt(keys, step + n);
      return place && place.m ? distance(place.m, metres([x, y])) : 0;
    });
    return Math.max(...far) / (around * stepS) > 0.5;
  });
  const moving = keys.filter((_, n) => moves[n]);
  if (!moving.length) return keys;
  return keys.map((key, n) => {
    const off = (each) => distance(metres(each.slice(3, 5)), metres(key.slice(3, 5)));
    const near = key[5] >= 0 && key[3] !== null && keys.some((each, m) => !moves[m] && each[3] !== null && each[5] >= 0 && off(each) < 1);
    if (key[5] < 0 || (moves[n] && !near)) return key;
    const before = moving.filter((each) => each[0] < key[0]);
    const after = moving.filter((each) => each[0] > key[0]);
    const like = before.findLast((each) => off(each) >= 2) || after.find((each) => off(each) >= 2) || before.at(-1) || after[0];
    return like ? [...key.slice(0, 5), like[5]] : key;
  });
}

export function isHollow(glyph, step) {
  return glyph.hollow.some(([from, to]) => from <= step && step < to);
}

export function stateAt(changes, time) {
  let now = changes[0].state;
  for (const change of changes) if (change.at_s <= time + 1e-9) now = change.state;
  return LAMPS[now] ? now : "unknown";
}

/** Whether a lamp is lit at this instant: a flashing one is so for half of each second, unless that moves too much. */
export function shown(state, time) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return !LAMPS[state].flashes || still || ((time % 1) + 1) % 1 < 0.5;
}
