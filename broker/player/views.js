/** The two views of a clip: as the camera stands, and from above. */

import { arrange } from "./badges.js";
import { metres, placeAt } from "./clip.js";
import { distance, flipped } from "./geometry.js";
import { cameraGlyph, planGlyph } from "./glyphs.js";
import { groundOf } from "./ground.js";
import { blankShape, furniture, moverShapes, spotShape } from "./marks.js";
import { draw, make } from "./svg.js";
import { say } from "./words.js";
import { groupNames, zoneShape } from "./zones.js";

/** The camera's view: the plate or the plan as the camera sees it, and shapes standing on the road. */
export function cameraView(clip, plate) {
  if (!plate || !plate.image_size) return null;
  const [width, height] = plate.image_size;
  const ground = groundOf(plate);
  const unit = width / 100;
  const { figure, svg, stage } = frame("nm-camera", [0, 0, width, height], say("Camera"), say("as the camera stands"));
  if (plate.background) stage.prepend(backgroundOf(plate.background, width, height));
  else svg.append(draw("rect", { class: "nm-nothing", width, height }));
  const layers = layersOf(plate.background ? "nm-zones" : "nm-zones nm-schematic");
  const onRoad = ground && ((point) => ground.project(...point));
  const lamps = plate.zones
    .map((zone) => zoneShape(zone, zone.outline_px, layers, clip, unit, onRoad))
    .filter(Boolean);
  svg.append(layers.zones);
  const movers = moverShapes(clip, svg);
  svg.append(layers.trails, layers.bodies, layers.over);
  const spot = clip.spot && ground ? ground.project(...metres(clip.spot)) : null;
  const mark = spot ? spotShape(svg, spot, unit * 2.4) : null;
  svg.append(layers.badges);
  const glyphs = clip.glyphs.map((glyph) => cameraGlyph(glyph, layers, clip, ground, unit, height));
  const box = [0, 0, width, height];
  const blankness = blankShape(svg, box, unit);
  return {
    figure,
    draw(step, time, blank) {
      lamps.forEach((lamp) => lamp(time));
      movers(step, blank);
      if (mark) mark(time);
      arrange(glyphs.map((glyph) => glyph(step, blank)).filter(Boolean), unit, box);
      blankness(blank);
    },
  };
}

/** The view from above, in metres, north up. */
export function planView(clip, plate) {
  const box = planExtent(clip, plate);
  if (!box) return null;
  const [left, top, width, height] = box;
  const unit = Math.max(width, height) / 100;
  const { figure, svg } = frame("nm-plan", box, say("From above"), say("metres, north up"));
  svg.append(draw("rect", { class: "nm-ground", x: left, y: top, width, height }));
  const layers = layersOf("nm-zones nm-schematic");
  svg.append(layers.zones, layers.trails, layers.bodies, layers.over);
  const lamps = (plate ? plate.zones : [])
    .map((zone) => zoneShape(zone, zone.outline_m && zone.outline_m.map(flipped), layers, clip, unit, flipped))
    .filter(Boolean);
  const mark = clip.spot ? spotShape(svg, flipped(metres(clip.spot)), unit * 2.4) : null;
  groupNames(plate ? plate.zones : [], layers.zones, unit);
  svg.append(layers.badges);
  const glyphs = clip.glyphs.map((glyph) => planGlyph(glyph, layers, clip, unit)).filter(Boolean);
  furniture(svg, box, unit);
  const blankness = blankShape(svg, box, unit);
  return {
    figure,
    draw(step, time, blank) {
      lamps.forEach((lamp) => lamp(time));
      if (mark) mark(time);
      arrange(glyphs.map((glyph) => glyph(step, blank)).filter(Boolean), unit, box);
      blankness(blank);
    },
  };
}

/** What lies over what: places of the site, ways, road users, stop lines and ring, numbers. */
function layersOf(zones) {
  const layer = (kind) => draw("g", { class: kind });
  return {
    zones: layer(zones),
    trails: layer("nm-trails"),
    bodies: layer("nm-bodies"),
    over: layer(zones),
    badges: layer("nm-badges"),
  };
}

function frame(kind, box, title, words) {
  const figure = make("figure", { class: `nm-view ${kind}` });
  const stage = make("div", { class: "nm-stage" });
  const svg = draw("svg", { viewBox: box.join(" "), role: "img", "aria-label": `${title}, ${words}` });
  const caption = make("figcaption", {});
  const strong = make("strong", {});
  strong.textContent = title;
  caption.append(strong, ` ${words}`);
  stage.append(svg);
  figure.append(stage, caption);
  return { figure, svg, stage };
}

/** The still picture on a canvas: a picture element would need `img-src data:` in the page's policy. */
export function backgroundOf(base64, width, height) {
  const canvas = make("canvas", { class: "nm-background", "aria-hidden": "true" });
  canvas.width = width;
  canvas.height = height;
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  createImageBitmap(new Blob([bytes], { type: "image/png" }))
    .then((picture) => {
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0, 0, width, height);
      canvas.dataset.ready = "yes";
    })
    .catch(() => canvas.remove());
  return canvas;
}

/**
 * What the view from above shows: where the event happened, the places around it, and the ways of those who
 * have a part in it, two seconds either side and not further than from one end of a junction to the other.
 */
export function planExtent(clip, plate) {
  const spot = clip.spot ? metres(clip.spot) : null;
  const near = (point) => !spot || distance(point, spot) <= 30;
  const points = spot ? [spot] : [];
  const around = 2 / clip.step_s;
  const event = -clip.start_s / clip.step_s;
  for (const glyph of clip.glyphs.filter((each) => each.role !== "other")) {
    for (let step = event - around; step <= event + around; step += 1) {
      const place = placeAt(glyph.keys, step);
      if (place && place.m && near(place.m)) points.push(place.m);
    }
  }
  const outlines = plate ? plate.zones.filter((zone) => zone.outline_m) : [];
  const places = outlines.filter((zone) => zone.kind !== "roadway").map((zone) => zone.outline_m.filter(near));
  points.push(...places.flat());
  if (!points.length) points.push(...outlines.flatMap((zone) => zone.outline_m));
  if (!points.length) {
    const keys = clip.glyphs.flatMap((glyph) => glyph.keys).filter((key) => key[3] !== null);
    points.push(...keys.map((key) => metres(key.slice(3, 5))));
  }
  if (!points.length) return null;
  const x = points.map((point) => point[0]);
  const y = points.map((point) => point[1]);
  const middle = [(Math.min(...x) + Math.max(...x)) / 2, (Math.min(...y) + Math.max(...y)) / 2];
  let width = Math.max(Math.max(...x) - Math.min(...x), 8) + 8;
  let height = Math.max(Math.max(...y) - Math.min(...y), 8) + 8;
  // The shape of the camera's picture, so that both views stand side by side at one height.
  const aspect = plate && plate.image_size ? plate.image_size[0] / plate.image_size[1] : 4 / 3;
  if (width / height < aspect) width = height * aspect;
  else height = width / aspect;
  return [middle[0] - width / 2, -middle[1] - height / 2, width, height];
}
