/**
 * Plays a scene clip: a drawing list over a plate, in the camera's view and from above, at any speed and instant.
 *
 *     import { mount } from "./player.js";
 *     const player = mount(element, { clip, plate, event });
 *     player.seek(-1.5); player.play(); player.destroy();
 *
 * `clip`, `plate` and `event` are the records of broker/wire.py as JSON. Nothing is loaded, no style attribute
 * is written into HTML and nothing is evaluated: it runs under `default-src 'self'` and from a file on disk.
 * Sizes of shapes come from the class and the ground's scale at their place, never from a box.
 */

const SVG = "http://www.w3.org/2000/svg";
const SNAP_PX = 4;
const SNAP_M = 0.25;
const SNAP_DEG = 15;
const TRAIL_S = 2;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

/** Length, width and height in metres of the one shape of each class. */
const SIZES = {
  pedestrian: [0.6, 0.6, 1.7],
  bicycle: [1.8, 0.7, 1.75],
  motorcycle: [2.1, 0.8, 1.6],
  car: [4.4, 1.8, 1.5],
  bus: [12.0, 2.55, 3.1],
  truck: [8.5, 2.5, 3.3],
};
const UPRIGHT = new Set(["pedestrian", "bicycle", "motorcycle"]);

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

const STATES = {
  red: { words: "red", lit: ["red"] },
  red_amber: { words: "red and amber", lit: ["red", "amber"] },
  amber: { words: "amber", lit: ["amber"] },
  green: { words: "green", lit: ["green"] },
  flashing_red: { words: "flashing red", lit: ["red"], flashes: true },
  flashing_amber: { words: "flashing amber", lit: ["amber"], flashes: true },
  dark: { words: "dark", lit: [] },
  unknown: { words: "unknown", lit: [], unknown: true },
};

/**
 * Draws a clip into an element.
 *
 * @param {HTMLElement} element emptied and filled.
 * @param {{clip: object, plate: object|null, event: object|null, numbers?: boolean}} records `numbers: false`
 *   leaves out the panel of measures, where the page shows them itself.
 * @returns {{play(): void, pause(): void, seek(seconds: number): void, readonly time: number, destroy(): void}}
 */
export function mount(element, { clip, plate = null, event = null, numbers = true }) {
  const start = clip.start_s;
  const end = start + (clip.steps - 1) * clip.step_s;
  const state = { time: clamp(0, start, end), playing: false, speed: 1, loop: false, frame: 0, before: 0 };
  const player = make("div", {
    class: "nm-player",
    tabindex: "0",
    role: "group",
    "aria-label": `Scene clip: ${describe(clip, event)}. Space plays, arrow keys step a tenth of a second.`,
  });
  const views = [cameraView(clip, plate), planView(clip, plate)].filter(Boolean);
  const holder = make("div", { class: `nm-views nm-${views.length}` });
  views.forEach((view) => holder.append(view.figure));
  const lamps = lampPanel(clip);
  const bar = controls(start, end);
  player.append(holder, bar.element);
  const foot = make("div", { class: "nm-foot" });
  if (lamps) foot.append(lamps.element);
  if (numbers && event) foot.append(numberPanel(event));
  foot.append(legend(clip));
  player.append(foot);
  element.replaceChildren(player);

  const draw = () => {
    const step = clamp((state.time - start) / clip.step_s, 0, clip.steps - 1);
    const blank = clip.blanks.some(([from, to]) => from <= Math.round(step) && Math.round(step) < to);
    for (const view of views) view.draw(step, state.time, blank);
    if (lamps) lamps.draw(state.time);
    bar.show(state);
  };
  const pause = () => {
    state.playing = false;
    cancelAnimationFrame(state.frame);
    draw();
  };
  const seek = (time) => {
    state.time = clamp(time, start, end);
    draw();
  };
  const tick = (now) => {
    if (!state.playing) return;
    const [from, to] = state.loop ? [Math.max(start, -2), Math.min(end, 2)] : [start, end];
    state.time += Math.min((now - state.before) / 1000, 0.25) * state.speed;
    state.before = now;
    if (state.loop && (state.time > to || state.time < from)) state.time = from;
    if (!state.loop && state.time >= to) {
      state.time = to;
      pause();
      return;
    }
    draw();
    state.frame = requestAnimationFrame(tick);
  };
  const play = () => {
    if (state.playing) return;
    if (!state.loop && state.time >= end - 1e-6) state.time = start;
    state.playing = true;
    state.before = performance.now();
    state.frame = requestAnimationFrame(tick);
    draw();
  };
  const nudge = (seconds) => {
    pause();
    seek(Math.round((state.time + seconds) * 10) / 10);
  };
  const faster = (by) => {
    const place = SPEEDS.indexOf(state.speed);
    state.speed = SPEEDS[clamp(place + by, 0, SPEEDS.length - 1)];
    draw();
  };
  const toggle = () => (state.playing ? pause() : play());
  const actions = {
    toggle,
    back: () => nudge(-0.1),
    forward: () => nudge(0.1),
    event: () => {
      pause();
      seek(0);
    },
    loop: () => {
      state.loop = !state.loop;
      draw();
    },
    seek: (time) => {
      pause();
      seek(time);
    },
    speed: (speed) => {
      state.speed = speed;
      draw();
    },
  };
  bar.connect(actions);
  player.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || press.target.tagName === "SELECT") return;
    const onButton = press.target.tagName === "BUTTON" && (press.key === " " || press.key === "Enter");
    const keys = {
      " ": toggle,
      k: toggle,
      ArrowLeft: () => nudge(press.shiftKey ? -1 : -0.1),
      ArrowRight: () => nudge(press.shiftKey ? 1 : 0.1),
      Home: () => actions.seek(start),
      End: () => actions.seek(end),
      0: actions.event,
      l: actions.loop,
      "+": () => faster(1),
      "-": () => faster(-1),
    };
    if (onButton || !keys[press.key]) return;
    press.preventDefault();
    keys[press.key]();
  });
  draw();
  return {
    play,
    pause,
    seek,
    get time() {
      return state.time;
    },
    destroy() {
      state.playing = false;
      cancelAnimationFrame(state.frame);
      element.replaceChildren();
    },
  };
}

// ------------------------------------------------------------------------------------------------ the two views

/** The camera's view: the plate or the plan as the camera sees it, and shapes standing on the road. */
function cameraView(clip, plate) {
  if (!plate || !plate.image_size) return null;
  const [width, height] = plate.image_size;
  const ground = groundOf(plate);
  const unit = width / 100;
  const { figure, svg, stage } = frame("nm-camera", [0, 0, width, height], "Camera", "as the camera stands");
  if (plate.background) stage.prepend(backgroundOf(plate.background, width, height));
  else svg.append(draw("rect", { class: "nm-nothing", width, height }));
  const zones = draw("g", { class: plate.background ? "nm-zones" : "nm-zones nm-schematic" });
  const onRoad = ground && ((point) => ground.project(...point));
  const lamps = plate.zones
    .map((zone) => zoneShape(zone, zone.outline_px, zones, clip, unit, onRoad))
    .filter(Boolean);
  svg.append(zones);
  const movers = moverShapes(clip, svg);
  const spot = clip.spot && ground ? ground.project(...metres(clip.spot)) : null;
  const mark = spot ? spotShape(svg, spot, unit * 2.4) : null;
  const trails = svg.appendChild(draw("g", { class: "nm-trails" }));
  const glyphs = clip.glyphs.map((glyph) => cameraGlyph(glyph, svg, trails, clip, ground, unit, width, height));
  const blankness = blankShape(svg, [0, 0, width, height], unit);
  return {
    figure,
    draw(step, time, blank) {
      lamps.forEach((lamp) => lamp(time));
      movers(step, blank);
      if (mark) mark(time);
      glyphs.forEach((glyph) => glyph(step, blank));
      blankness(blank);
    },
  };
}

/** The view from above, in metres, north up. */
function planView(clip, plate) {
  const box = planExtent(clip, plate);
  if (!box) return null;
  const [left, top, width, height] = box;
  const unit = Math.max(width, height) / 100;
  const { figure, svg } = frame("nm-plan", box, "From above", "metres, north up");
  svg.append(draw("rect", { class: "nm-ground", x: left, y: top, width, height }));
  const zones = svg.appendChild(draw("g", { class: "nm-zones nm-schematic" }));
  const lamps = (plate ? plate.zones : [])
    .map((zone) => zoneShape(zone, zone.outline_m && zone.outline_m.map(flipped), zones, clip, unit, flipped))
    .filter(Boolean);
  const mark = clip.spot ? spotShape(svg, flipped(metres(clip.spot)), unit * 2.4) : null;
  const trails = svg.appendChild(draw("g", { class: "nm-trails" }));
  const glyphs = clip.glyphs.map((glyph) => planGlyph(glyph, svg, trails, clip, unit)).filter(Boolean);
  furniture(svg, box, unit);
  const blankness = blankShape(svg, box, unit);
  return {
    figure,
    draw(step, time, blank) {
      lamps.forEach((lamp) => lamp(time));
      if (mark) mark(time);
      glyphs.forEach((glyph) => glyph(step, blank));
      blankness(blank);
    },
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
function backgroundOf(base64, width, height) {
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
function planExtent(clip, plate) {
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

// ------------------------------------------------------------------------------------------------------- shapes

/**
 * Draws a place of the site; returns what shows its lamp's state, if it has one.
 *
 * `outline` is in the view's units; `onRoad` brings metres of the site there, null where nothing does.
 */
function zoneShape(zone, outline, group, clip, unit, onRoad) {
  if (!outline) return null;
  const changes = (clip.lamps.find((lamp) => lamp.group === zone.group) || {}).changes;
  if (zone.kind === "signal_head") return signalHead(outline, group, changes, unit, zone.group);
  const closed = zone.kind !== "stop_line";
  const shape = draw("path", { class: `nm-zone nm-${zone.kind}`, d: path(outline, closed) });
  shape.append(titled(`${zone.kind.replace("_", " ")} ${zone.id}`));
  group.append(shape);
  if (zone.kind === "crosswalk") {
    group.append(draw("path", { class: "nm-stripes", d: onRoad ? stripes(zone.outline_m, onRoad) : "" }));
  }
  if (zone.kind === "stop_line" || zone.kind === "crosswalk") {
    shape.setAttribute("stroke-width", unit * (zone.kind === "stop_line" ? 0.9 : 0.45));
    if (!changes) return null;
    return (time) => {
      const now = stateAt(changes, time);
      shape.dataset.state = shown(now, time) ? STATES[now].lit[0] || now : "off";
    };
  }
  shape.setAttribute("stroke-width", unit * 0.2);
  return null;
}

function signalHead(outline, group, changes, unit, name) {
  const x = outline.map((point) => point[0]);
  const y = outline.map((point) => point[1]);
  const [left, top] = [Math.min(...x), Math.min(...y)];
  const [width, height] = [Math.max(...x) - left, Math.max(...y) - top];
  const head = draw("g", { class: "nm-head" });
  head.append(titled(`signal ${name}`));
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
    const on = shown(now, time) ? STATES[now].lit : [];
    ["red", "amber", "green"].forEach((colour, n) => lamps[n].classList.toggle("nm-lit", on.includes(colour)));
    head.classList.toggle("nm-unknown", Boolean(STATES[now].unknown));
  };
}

/** Stripes of a crosswalk of four corners, a metre apart across its longer side. */
function stripes(outline, onRoad) {
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

function spotShape(svg, [x, y], radius) {
  const group = svg.appendChild(draw("g", { class: "nm-spot" }));
  const ring = group.appendChild(draw("circle", { cx: x, cy: y, r: radius, "stroke-width": radius / 6 }));
  const arm = radius * 0.45;
  const cross = draw("path", {
    d: `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`,
    "stroke-width": radius / 6,
  });
  group.append(cross, titled("where the event happened"));
  return (time) => {
    const near = Math.max(0, 1 - Math.abs(time) / 0.6);
    ring.setAttribute("r", radius * (1 + 0.5 * near));
    group.classList.toggle("nm-now", near > 0);
  };
}

/** A shape that stands on the road: an ellipse for a person or rider, a box for a vehicle. */
function cameraGlyph(glyph, svg, trails, clip, ground, unit, width, height) {
  const { group, body, badge } = glyphGroup(glyph, svg, unit);
  const lines = UPRIGHT.has(glyph.kind) ? null : draw("path", { class: "nm-edges" });
  if (lines) group.insertBefore(lines, badge);
  body.setAttribute("stroke-width", unit * 0.28);
  if (lines) lines.setAttribute("stroke-width", unit * 0.18);
  const trail = trails.appendChild(draw("path", { class: `nm-trail nm-kind-${glyph.kind}`, "stroke-width": unit * 0.35 }));
  const footOf = (step) => {
    const place = placeAt(glyph.keys, step);
    if (!place) return null;
    if (place.px && (UPRIGHT.has(glyph.kind) || !place.m || !ground)) return place.px;
    return place.m && ground ? ground.project(...place.m) : place.px;
  };
  return (step, blank) => {
    const place = blank ? null : placeAt(glyph.keys, step);
    const foot = place && footOf(step);
    group.classList.toggle("nm-gone", !foot);
    trail.setAttribute("d", foot ? trailPath(footOf, step, clip) : "");
    if (!foot) return;
    group.classList.toggle("nm-hollow", isHollow(glyph, step));
    const under = place.m || (ground ? ground.unproject(...foot) : null);
    const scale = (ground && under && ground.scale(...under)) || { across: height / 18, up: height / 18 };
    const size = SIZES[glyph.kind];
    let high;
    if (lines && place.m && ground && place.heading !== null) {
      const box = standingBox(place.m, place.heading, size, ground);
      if (!box) return;
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
    place_(badge, clamp(high[0], unit * 3, width - unit * 3), clamp(high[1] - unit * 1.6, unit * 2, height));
  };
}

/** A shape from above: a circle for a person, an oriented rectangle for the rest. */
function planGlyph(glyph, svg, trails, clip, unit) {
  if (!glyph.keys.some((key) => key[3] !== null)) return null;
  const { group, body, badge } = glyphGroup(glyph, svg, unit);
  const [long, wide] = SIZES[glyph.kind];
  body.setAttribute("stroke-width", unit * 0.28);
  const trail = trails.appendChild(draw("path", { class: `nm-trail nm-kind-${glyph.kind}`, "stroke-width": unit * 0.35 }));
  const at = (step) => {
    const place = placeAt(glyph.keys, step);
    return place && place.m ? flipped(place.m) : null;
  };
  return (step, blank) => {
    const here = blank ? null : at(step);
    group.classList.toggle("nm-gone", !here);
    trail.setAttribute("d", here ? trailPath(at, step, clip) : "");
    if (!here) return;
    group.classList.toggle("nm-hollow", isHollow(glyph, step));
    const { heading } = placeAt(glyph.keys, step);
    if (glyph.kind === "pedestrian" || heading === null) {
      const radius = glyph.kind === "pedestrian" ? Math.max(0.3, unit * 0.8) : (long + wide) / 4;
      body.setAttribute("d", ellipsePath(here[0], here[1], radius, radius));
    } else {
      body.setAttribute("d", planRectangle(here, -heading, Math.max(long, unit * 1.8), Math.max(wide, unit * 0.8)));
    }
    place_(badge, here[0], here[1] - Math.max(wide / 2, unit) - unit * 1.7);
  };
}

function glyphGroup(glyph, svg, unit) {
  const group = draw("g", { class: `nm-glyph nm-kind-${glyph.kind} nm-${glyph.role}` });
  const body = group.appendChild(draw("path", { class: "nm-body" }));
  const badge = group.appendChild(draw("g", { class: "nm-badge" }));
  const text = glyph.number === null ? "" : String(glyph.number);
  if (text) {
    const half = unit * (1.05 + 0.55 * text.length);
    badge.append(draw("rect", { x: -half, y: -unit * 1.4, width: 2 * half, height: unit * 2.8, rx: unit * 1.4 }));
    const label = draw("text", { "font-size": unit * 2.3, "text-anchor": "middle", y: unit * 0.8 });
    label.textContent = text;
    badge.append(label);
  }
  const role = glyph.role === "other" ? "" : `, ${glyph.role} road user of the event`;
  group.append(titled(`${glyph.kind}${text ? ` ${text}` : ""}${role}`));
  svg.append(group);
  return { group, body, badge };
}

/** The eight corners of a class-sized box on the road, as the camera sees them. */
function standingBox([x, y], heading, [long, wide, tall], ground) {
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

function moverShapes(clip, svg) {
  const shape = svg.appendChild(draw("path", { class: "nm-movers" }));
  shape.append(titled("something moved that no road user explains"));
  const byStep = new Map(clip.movers.map((movers) => [movers.step, movers.cells]));
  const every = byStep.size ? 2 : 1;
  return (step, blank) => {
    const cells = blank ? [] : byStep.get(Math.floor(step / every) * every) || [];
    const side = clip.cell_px;
    const inset = side * 0.12;
    shape.setAttribute(
      "d",
      cells
        .map((cell) => {
          const x = (cell % clip.columns) * side + inset;
          const y = Math.floor(cell / clip.columns) * side + inset;
          return `M${x} ${y}h${side - 2 * inset}v${side - 2 * inset}h${2 * inset - side}z`;
        })
        .join(""),
    );
  };
}

function blankShape(svg, [left, top, width, height], unit) {
  const group = svg.appendChild(draw("g", { class: "nm-blank nm-gone" }));
  group.append(draw("rect", { x: left, y: top, width, height }));
  const words = draw("text", {
    x: left + width / 2,
    y: top + height / 2,
    "font-size": unit * 3.4,
    "text-anchor": "middle",
  });
  words.textContent = "no picture at this instant";
  group.append(words);
  return (blank) => group.classList.toggle("nm-gone", !blank);
}

function furniture(svg, [left, top, width, height], unit) {
  const length = [1, 2, 5, 10, 20, 50].filter((metre) => metre <= width / 4).pop() || 1;
  const [x, y] = [left + unit * 3, top + height - unit * 3];
  const group = draw("g", { class: "nm-furniture", "aria-hidden": "true" });
  group.append(draw("path", { d: `M${x} ${y - unit}V${y}H${x + length}V${y - unit}`, "stroke-width": unit * 0.35 }));
  const words = draw("text", { x: x + length / 2, y: y - unit * 1.2, "font-size": unit * 2.5, "text-anchor": "middle" });
  words.textContent = `${length} m`;
  const north = [left + width - unit * 4, top + unit * 9];
  group.append(words, draw("path", { d: `M${north[0]} ${north[1]}v${-unit * 6}l${-unit} ${unit * 2}m${unit} ${-unit * 2}l${unit} ${unit * 2}`, "stroke-width": unit * 0.4 }));
  const n = draw("text", { x: north[0], y: north[1] + unit * 2.8, "font-size": unit * 2.6, "text-anchor": "middle" });
  n.textContent = "N";
  group.append(n);
  svg.append(group);
}

// -------------------------------------------------------------------------------------------- panels and controls

function controls(start, end) {
  const element = make("div", { class: "nm-controls" });
  const button = (action, label, drawing) => {
    const key = make("button", { type: "button", "data-action": action, "aria-label": label, title: label });
    const icon = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
    icon.append(draw("path", { d: drawing }));
    key.append(icon);
    element.append(key);
    return key;
  };
  const PLAY = "M7 4v16l13-8z";
  const PAUSE = "M6 4h4v16H6zM14 4h4v16h-4z";
  const play = button("toggle", "Play", PLAY);
  button("back", "Back a tenth of a second", "M17 5v14l-9-7zM6 5h2v14H6z");
  button("forward", "On by a tenth of a second", "M7 5v14l9-7zM16 5h2v14h-2z");
  const scrub = make("input", { type: "range", min: start, max: end, step: 0.1, "aria-label": "Time, seconds from the event" });
  const clock = make("output", { class: "nm-clock" });
  const track = make("div", { class: "nm-track" });
  const instant = make("button", { type: "button", class: "nm-instant", "data-action": "event", title: "To the instant of the event" });
  instant.textContent = "event";
  const loop = make("button", { type: "button", class: "nm-loop", "data-action": "loop", "aria-pressed": "false", title: "Loop two seconds either side of the event" });
  loop.textContent = "loop ±2 s";
  const speed = make("select", { "aria-label": "Speed" });
  for (const each of SPEEDS) {
    const option = make("option", { value: each });
    option.textContent = `${each}×`;
    speed.append(option);
  }
  track.append(scrub);
  const tick = make("span", { class: "nm-tick", "aria-hidden": "true" });
  // Through the object model, which a policy without inline styles allows; 16 px is the thumb's width.
  const share = end > start ? (0 - start) / (end - start) : 0;
  tick.style.left = `calc(8px + ${share} * (100% - 16px))`;
  track.append(tick);
  element.append(track, clock, instant, loop, speed);
  return {
    element,
    connect(actions) {
      element.addEventListener("click", (click) => {
        const key = click.target.closest("button[data-action]");
        if (key) actions[key.dataset.action]();
      });
      scrub.addEventListener("input", () => actions.seek(Number(scrub.value)));
      speed.addEventListener("change", () => actions.speed(Number(speed.value)));
    },
    show(state) {
      const words = `${state.time < -0.05 ? "−" : state.time > 0.05 ? "+" : ""}${Math.abs(state.time).toFixed(1)} s`;
      clock.textContent = words;
      scrub.value = state.time;
      scrub.setAttribute("aria-valuetext", words);
      speed.value = state.speed;
      const label = state.playing ? "Pause" : "Play";
      play.setAttribute("aria-label", label);
      play.title = label;
      play.firstChild.firstChild.setAttribute("d", state.playing ? PAUSE : PLAY);
      loop.setAttribute("aria-pressed", String(state.loop));
    },
  };
}

function lampPanel(clip) {
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

function numberPanel(event) {
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

function numberText({ value, sigma }, unit) {
  if (sigma === null) return `${value.toFixed(1)} ${unit} (error unknown)`;
  const digits = sigma < 0.095 ? 2 : sigma < 9.5 ? 1 : 0;
  return `${value.toFixed(digits)} ± ${sigma.toFixed(digits)} ${unit}`;
}

function legend(clip) {
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

// -------------------------------------------------------------------------------------------- records and geometry

/** Where a glyph is at a (fractional) step: `{px, m, heading}`, or null where it is not seen. */
function placeAt(keys, step) {
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

function trailPath(at, step, clip) {
  const points = [];
  const from = Math.max(0, step - TRAIL_S / clip.step_s);
  for (let back = step; back > from; back -= 1) {
    const point = at(back);
    if (!point) break;
    points.push(point);
  }
  return points.length > 1 ? path(points, false) : "";
}

function isHollow(glyph, step) {
  return glyph.hollow.some(([from, to]) => from <= step && step < to);
}

function stateAt(changes, time) {
  let now = changes[0].state;
  for (const change of changes) if (change.at_s <= time + 1e-9) now = change.state;
  return STATES[now] ? now : "unknown";
}

/** Whether a lamp is lit at this instant: a flashing one is so for half of each second. */
function shown(state, time) {
  return !STATES[state].flashes || ((time % 1) + 1) % 1 < 0.5;
}

/** The ground plane: metres to pixels, back, and the scale at a place. Null without one. */
function groundOf(plate) {
  const h = plate.homography;
  if (!h) return null;
  const inverse = inverted(h);
  const lens = lensOf(plate);
  const project = (x, y) => {
    const w = h[6] * x + h[7] * y + h[8];
    // Its sign before the camera is that of the middle of the picture's lower edge.
    return w * side > 1e-9 ? lens.bent((h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w) : null;
  };
  const raw = (bentU, bentV) => {
    const [u, v] = lens.straight(bentU, bentV);
    const w = inverse[6] * u + inverse[7] * v + inverse[8];
    return [(inverse[0] * u + inverse[1] * v + inverse[2]) / w, (inverse[3] * u + inverse[4] * v + inverse[5]) / w];
  };
  const [bx, by] = raw(plate.image_size[0] / 2, plate.image_size[1]);
  const side = Math.sign(h[6] * bx + h[7] * by + h[8]) || 1;
  const unproject = (u, v) => {
    const [x, y] = raw(u, v);
    return project(x, y) ? [x, y] : null;
  };
  const scale = (x, y) => {
    const step = 0.05;
    const [a, b] = [project(x + step, y), project(x - step, y)];
    const [c, d] = [project(x, y + step), project(x, y - step)];
    if (!a || !b || !c || !d) return null;
    const j = [a[0] - b[0], c[0] - d[0], a[1] - b[1], c[1] - d[1]].map((each) => each / (2 * step));
    // Singular values of the 2 x 2 derivative: across the line of sight, and along it.
    const sum = Math.hypot(j[0] + j[3], j[2] - j[1]);
    const difference = Math.hypot(j[0] - j[3], j[2] + j[1]);
    const [across, along] = [(sum + difference) / 2, Math.abs(sum - difference) / 2];
    // Seen at this angle, what lies flat shrinks by its sine and what stands by its cosine.
    const flat = Math.min(along / across, 1);
    return { across, up: across * Math.sqrt(Math.max(1 - flat * flat, 0.04)) };
  };
  return { project, unproject, scale };
}

/** The bend of the lens after the ground plane (calibration/lens.py): straight pixels to those of the image. */
function lensOf({ image_size: [width, height], bend = 0 }) {
  const [cx, cy] = [width / 2, height / 2];
  const share = (u, v) => ((u - cx) ** 2 + (v - cy) ** 2) / (cx * cx + cy * cy);
  const scaled = (u, v, factor) => [cx + (u - cx) * factor, cy + (v - cy) * factor];
  return {
    bent(u, v) {
      const under = 1 - 4 * bend * share(u, v);
      return under < 0 ? null : scaled(u, v, 2 / (1 + Math.sqrt(under)));
    },
    straight: (u, v) => scaled(u, v, 1 / (1 + bend * share(u, v))),
  };
}

function inverted([a, b, c, d, e, f, g, h, i]) {
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ];
}

function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (row) => {
    const chain = [];
    for (const point of row) {
      while (chain.length > 1 && turn(chain[chain.length - 2], chain[chain.length - 1], point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

function planRectangle([x, y], angle, long, wide) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const at = (along, across) => [x + along * cos - across * sin, y + along * sin + across * cos];
  const body = [at(long / 2, wide / 2), at(long / 2, -wide / 2), at(-long / 2, -wide / 2), at(-long / 2, wide / 2)];
  const nose = [at(long * 0.28, wide / 2), at(long * 0.28, -wide / 2)];
  return path(body, true) + path(nose, false);
}

function boxPath(u, v, half, tall) {
  return `M${u - half} ${v}V${v - tall}H${u + half}V${v}z`;
}

function ellipsePath(x, y, rx, ry) {
  return `M${x - rx} ${y}a${rx} ${ry} 0 1 0 ${2 * rx} 0a${rx} ${ry} 0 1 0 ${-2 * rx} 0z`;
}

function path(points, closed) {
  return `M${points.map(([x, y]) => `${tidy(x)} ${tidy(y)}`).join("L")}${closed ? "z" : ""}`;
}

function place_(shape, x, y) {
  shape.setAttribute("transform", `translate(${tidy(x)} ${tidy(y)})`);
}

const tidy = (value) => Math.round(value * 1000) / 1000;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const lerp = (a, b, share) => [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const flipped = ([x, y]) => [x, -y];
const metres = ([x, y]) => [x * SNAP_M, y * SNAP_M];

function describe(clip, event) {
  const counts = new Map();
  for (const glyph of clip.glyphs) counts.set(glyph.kind, (counts.get(glyph.kind) || 0) + 1);
  const users = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ") || "nobody";
  return event ? `${RULES[event.rule] || event.rule} at ${event.place}; ${users}` : users;
}

function make(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function titled(words) {
  const title = draw("title", {});
  title.textContent = words;
  return title;
}
