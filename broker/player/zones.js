/** Places of the site: crosswalks, stop lines, roadways and signal heads, which show their lamp's state. */

import { LAMPS, shown, stateAt } from "./clip.js";
import { distance, flipped, lerp, mean } from "./geometry.js";
import { draw, path, titled } from "./svg.js";
import { PLACES, say } from "./words.js";

/**
 * Draws a place of the site; returns what shows its lamp's state, if it has one.
 *
 * `outline` is in the view's units; `onRoad` brings metres of the site there, null where nothing does. Stop lines lie
 * `over` road users: who stands on one must not hide it.
 */
export function zoneShape(zone, outline, { zones: group, over }, clip, unit, onRoad) {
  if (!outline) return null;
  const changes = (clip.lamps.find((lamp) => lamp.group === zone.group) || {}).changes;
  if (zone.kind === "signal_head") return signalHead(outline, group, changes, unit, zone.group);
  const closed = zone.kind !== "stop_line";
  const shape = draw("path", { class: `nm-zone nm-${zone.kind}`, d: path(outline, closed) });
  shape.append(titled(`${say(PLACES[zone.kind])} ${zone.id}`));
  (closed ? group : over).append(shape);
  if (zone.kind === "crosswalk") {
    group.append(draw("path", { class: "nm-stripes", d: onRoad ? stripes(zone.outline_m, onRoad) : "" }));
  }
  if (zone.kind === "stop_line" || zone.kind === "crosswalk") {
    shape.setAttribute("stroke-width", unit * (zone.kind === "stop_line" ? 0.9 : 0.45));
    if (!changes) return null;
    return (time) => {
      const now = stateAt(changes, time);
      shape.dataset.state = shown(now, time) ? LAMPS[now].lit[0] || now : "off";
    };
  }
  shape.setAttribute("stroke-width", unit * 0.2);
  return null;
}

export function signalHead(outline, group, changes, unit, name) {
  const x = outline.map((point) => point[0]);
  const y = outline.map((point) => point[1]);
  const [left, top] = [Math.min(...x), Math.min(...y)];
  const [width, height] = [Math.max(...x) - left, Math.max(...y) - top];
  const head = draw("g", { class: "nm-head" });
  head.append(titled(`${say(PLACES.signal_head)} ${name}`));
  head.append(draw("rect", { class: "nm-housing", x: left, y: top, width, height, rx: Math.min(width, height) / 6 }));
  const upright = height >= width;
  const radius = Math.min(upright ? width / 2 : height / 2, Math.max(width, height) / 6) * 0.86;
  const lamps = ["red", "amber", "green"].map((colour, n) => {
    const along = (n + 0.5) / 3;
    const [cx, cy] = upright ? [left + width / 2, top + height * along] : [left + width * along, top + height / 2];
    return head.appendChild(draw("circle", { class: `nm-lamp nm-lamp-${colour}`, cx, cy, r: radius }));
  });
  group.append(head);
  if (!changes) return null;
  return (time) => {
    const now = stateAt(changes, time);
    const on = shown(now, time) ? LAMPS[now].lit : [];
    ["red", "amber", "green"].forEach((colour, n) => lamps[n].classList.toggle("nm-lit", on.includes(colour)));
    head.classList.toggle("nm-unknown", Boolean(LAMPS[now].unknown));
  };
}

/** Stripes of a crosswalk of four corners, a metre apart across its longer side. */
export function stripes(outline, onRoad) {
  if (!outline || outline.length !== 4) return "";
  let [a, b, c, d] = outline;
  if (distance(a, b) + distance(c, d) < distance(b, c) + distance(d, a)) [a, b, c, d] = [b, c, d, a];
  const count = Math.max(Math.round((distance(a, b) + distance(c, d)) / 2), 2);
  const parts = [];
  for (let n = 0; n < count; n += 1) {
    const [from, to] = [(n + 0.25) / count, (n + 0.75) / count];
    const stripe = [lerp(a, b, from), lerp(a, b, to), lerp(d, c, to), lerp(d, c, from)].map(onRoad);
    if (stripe.every(Boolean)) parts.push(path(stripe, true));
  }
  return parts.join("");
}

/** Writes the names of signal groups at their crosswalks and stop lines, so that the lamps below can be told apart. */
export function groupNames(zones, layer, unit) {
  const named = zones.filter((zone) => zone.group && zone.outline_m && zone.kind !== "signal_head");
  const middles = named.map((zone) => middle(zone.outline_m.map(flipped)));
  if (!named.length) return;
  const centre = middle(middles);
  named.forEach((zone, n) => {
    const half = unit * 0.62 * zone.group.length;
    // Crosswalks are named towards the junction, stop lines beyond their kerb's end: there nobody drives over it.
    const ends = zone.outline_m.map(flipped).sort((a, b) => distance(a, centre) - distance(b, centre));
    const crosswalk = zone.kind === "crosswalk";
    const [from, to] = crosswalk ? [middles[n], centre] : [ends[0], ends[ends.length - 1]];
    const long = distance(from, to) || 1;
    const [ux, uy] = [(to[0] - from[0]) / long, (to[1] - from[1]) / long];
    const off = (crosswalk ? halfDepth(zone.outline_m) : long) + unit * 1.6 + Math.abs(ux) * half;
    const place = { x: from[0] + ux * off, y: from[1] + uy * off + unit * 0.7 };
    const label = draw("text", { class: "nm-group", ...place, "font-size": unit * 2, "text-anchor": "middle" });
    label.textContent = zone.group;
    layer.append(label);
  });
}

const middle = (points) => [mean(points.map((point) => point[0])), mean(points.map((point) => point[1]))];

/** Half of the shorter side of an outline's box. */
function halfDepth(outline) {
  const sides = [0, 1].map((n) => Math.max(...outline.map((point) => point[n])) - Math.min(...outline.map((point) => point[n])));
  return Math.min(...sides) / 2;
}
