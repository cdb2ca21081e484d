/** Road users as shapes of one size and colour a class, standing on the road or seen from above. */

import { badgeOf } from "./badges.js";
import { SIZES, UPRIGHT, isHollow, placeAt, steadied } from "./clip.js";
import { flipped, hull, lerp, mean } from "./geometry.js";
import { boxPath, draw, ellipsePath, path, titled } from "./svg.js";
import { KINDS, say } from "./words.js";

export const TRAIL_S = 2;

/** A shape that stands on the road: an ellipse for a person or rider, a box for a vehicle. */
export function cameraGlyph(glyph, { bodies, trails, badges }, clip, ground, unit, height) {
  const { group, body } = glyphGroup(glyph, bodies);
  const badge = badgeOf(glyph, badges, unit);
  const keys = steadied(glyph.keys, clip.step_s);
  const lines = UPRIGHT.has(glyph.kind) ? null : draw("path", { class: "nm-edges" });
  if (lines) body.after(lines);
  body.setAttribute("stroke-width", unit * 0.28);
  if (lines) lines.setAttribute("stroke-width", unit * 0.18);
  const trail = trails.appendChild(draw("path", { class: `nm-trail nm-kind-${glyph.kind}`, "stroke-width": unit * 0.35 }));
  const footOf = (step) => {
    const place = placeAt(keys, step);
    if (!place) return null;
    if (place.px && (UPRIGHT.has(glyph.kind) || !place.m || !ground)) return place.px;
    return place.m && ground ? ground.project(...place.m) : place.px;
  };
  return (step, blank) => {
    const place = blank ? null : placeAt(keys, step);
    const foot = place && footOf(step);
    group.classList.toggle("nm-gone", !foot);
    trail.setAttribute("d", foot ? trailPath(footOf, step, clip) : "");
    if (badge) badge.group.classList.toggle("nm-gone", !foot);
    if (!foot) return null;
    group.classList.toggle("nm-hollow", isHollow(glyph, step));
    const under = place.m || (ground ? ground.unproject(...foot) : null);
    const scale = (ground && under && ground.scale(...under)) || { across: height / 18, up: height / 18 };
    const size = SIZES[glyph.kind];
    let high;
    if (lines && place.m && ground && place.heading !== null) {
      const box = standingBox(place.m, place.heading, size, ground);
      if (!box) return null;
      body.setAttribute("d", path(box.hull, true));
      lines.setAttribute("d", path(box.top, true) + path(box.nose, false));
      high = [mean(box.top.map((p) => p[0])), Math.min(...box.top.map((p) => p[1]))];
    } else {
      const half = Math.max(((lines ? (size[0] + size[1]) / 2 : Math.min(size[1], 0.7)) * scale.across) / 2, unit * 0.5);
      const tall = Math.max(size[2] * scale.up, unit * 1.4);
      const [u, v] = foot;
      body.setAttribute("d", lines ? boxPath(u, v, half, tall) : ellipsePath(u, v - tall / 2, half, tall / 2));
      if (lines) lines.setAttribute("d", "");
      high = [u, v - tall];
    }
    return badge && { badge, head: [high[0], high[1] - unit * 0.3], feet: foot };
  };
}

/** A shape from above: a circle for a person, an oriented rectangle for the rest. */
export function planGlyph(glyph, { bodies, trails, badges }, clip, unit) {
  if (!glyph.keys.some((key) => key[3] !== null)) return null;
  const { group, body } = glyphGroup(glyph, bodies);
  const badge = badgeOf(glyph, badges, unit);
  const keys = steadied(glyph.keys, clip.step_s);
  const [long, wide] = SIZES[glyph.kind];
  body.setAttribute("stroke-width", unit * 0.28);
  const trail = trails.appendChild(draw("path", { class: `nm-trail nm-kind-${glyph.kind}`, "stroke-width": unit * 0.35 }));
  const at = (step) => {
    const place = placeAt(keys, step);
    return place && place.m ? flipped(place.m) : null;
  };
  return (step, blank) => {
    const here = blank ? null : at(step);
    group.classList.toggle("nm-gone", !here);
    trail.setAttribute("d", here ? trailPath(at, step, clip) : "");
    if (badge) badge.group.classList.toggle("nm-gone", !here);
    if (!here) return null;
    group.classList.toggle("nm-hollow", isHollow(glyph, step));
    const { heading } = placeAt(keys, step);
    if (glyph.kind === "pedestrian" || heading === null) {
      const radius = glyph.kind === "pedestrian" ? Math.max(0.3, unit * 0.8) : (long + wide) / 4;
      body.setAttribute("d", ellipsePath(here[0], here[1], radius, radius));
    } else {
      body.setAttribute("d", planRectangle(here, -heading, Math.max(long, unit * 1.8), Math.max(wide, unit * 0.8)));
    }
    return badge && { badge, head: [here[0], here[1] - Math.max(wide / 2, unit) - unit * 0.3], feet: here };
  };
}

function glyphGroup(glyph, bodies) {
  const group = bodies.appendChild(draw("g", { class: `nm-glyph nm-kind-${glyph.kind} nm-${glyph.role}` }));
  const body = group.appendChild(draw("path", { class: "nm-body" }));
  const name = [say(KINDS[glyph.kind]), glyph.number].filter((part) => part !== null).join(" ");
  group.append(titled(glyph.role === "other" ? name : say("{name}, has a part in the event", { name })));
  return { group, body };
}

/** The eight corners of a class-sized box on the road, as the camera sees them. */
export function standingBox([x, y], heading, [long, wide, tall], ground) {
  const [cos, sin] = [Math.cos(heading), Math.sin(heading)];
  const corner = (along, across) => [x + along * cos - across * sin, y + along * sin + across * cos];
  const feet = [
    corner(long / 2, wide / 2),
    corner(long / 2, -wide / 2),
    corner(-long / 2, -wide / 2),
    corner(-long / 2, wide / 2),
  ];
  const base = feet.map((foot) => ground.project(...foot));
  if (base.some((point) => !point)) return null;
  const top = feet.map((foot, n) => [base[n][0], base[n][1] - tall * ground.scale(...foot).up]);
  return { hull: hull([...base, ...top]), top, nose: [lerp(top[0], top[1], 0.5), lerp(base[0], base[1], 0.5)] };
}

export function planRectangle([x, y], angle, long, wide) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const at = (along, across) => [x + along * cos - across * sin, y + along * sin + across * cos];
  const body = [at(long / 2, wide / 2), at(long / 2, -wide / 2), at(-long / 2, -wide / 2), at(-long / 2, wide / 2)];
  const nose = [at(long * 0.28, wide / 2), at(long * 0.28, -wide / 2)];
  return path(body, true) + path(nose, false);
}

export function trailPath(at, step, clip) {
  const points = [];
  const from = Math.max(0, step - TRAIL_S / clip.step_s);
  for (let back = step; back > from; back -= 1) {
    const point = at(back);
    if (!point) break;
    points.push(point);
  }
  return points.length > 1 ? path(points, false) : "";
}
