// The two pictures, layer by layer: what is seen, what it is worth, and what was drawn.

import { COLOURS, add, arrow, cross, dot, fill, gridStep, groundGrid, label, middle, rectified, sigmaPicture, stroke, traced } from "./draw.js";
import { Placement } from "./projection.js";
import { heading } from "./pointer.js";

const PLACES = ["roadways", "boxes", "crosswalks", "stop_lines"];
// How far beyond the marks the camera is laid on the plan: further out a pixel is metres.
const FAR_M = 25;

export class Layers {
  constructor(editor) {
    this.editor = editor;
    this.made = {};
  }

  /** Forget what was drawn from an older ground plane; with ``same`` it is the same and only the roads are new. */
  forget(same = false) {
    if (same) delete this.made.sigma;
    else this.made = {};
    // The ground that is shown grows with the places, the picture from above with it.
    delete this.made.seen;
  }

  camera() {
    const { editor } = this;
    const view = editor.camera, context = view.begin(editor.pointer.sketch?.points.length ?? 0);
    if (!editor.picture) return;
    const [width, height] = editor.state.image_size;
    const [x, y] = view.screen([0, 0]);
    context.imageSmoothingEnabled = view.scale < 3;
    context.drawImage(editor.picture, x, y, width * view.scale, height * view.scale);
    const { projection } = editor;
    if (projection && editor.shown.sigma && editor.fit.sigma) {
      this.made.sigma ??= sigmaPicture(editor.fit.sigma, editor.limit, projection, editor.rows("roadways"));
      const { side_px: side, columns, rows } = editor.fit.sigma;
      context.imageSmoothingEnabled = true;
      context.save();
      context.beginPath();
      context.rect(x, y, width * view.scale, height * view.scale);
      context.clip();
      context.drawImage(this.made.sigma, x, y, columns * side * view.scale, rows * side * view.scale);
      context.restore();
    }
    if (projection && editor.shown.grid) {
      context.save();
      context.beginPath();
      context.rect(x, y, width * view.scale, height * view.scale);
      context.clip();
      groundGrid(view, projection, this.seen(), this.step());
      context.restore();
    }
    if (editor.shown.places) {
      if (projection) for (const table of PLACES) this.places(view, table, (points, closed) => traced(view, projection, points, closed));
      this.rectangles(view, "signal_heads");
      this.rectangles(view, "osd");
      this.lengths(view);
    }
    if (editor.shown.tracks) this.tracks(view, (place) => projection?.image(place) ?? null);
    if (editor.shown.points) this.points(view, "px");
    this.sketch(view);
  }

  plan() {
    const { editor } = this;
    const view = editor.plan, context = view.begin(editor.pointer.sketch?.points.length ?? 0);
    this.aerial(view);
    const { projection } = editor;
    if (projection && editor.shown.warped) {
      const bounds = this.seen();
      if (this.made.warped && String(this.made.warped.bounds) !== String(bounds)) delete this.made.warped;
      this.made.warped ??= rectified(editor.pixels, editor.state.image_size, projection, bounds, Math.max((bounds[2] - bounds[0]) / 1000, 0.05));
      const [left, top] = view.screen([bounds[0], bounds[3]]);
      context.globalAlpha = editor.aerial && editor.shown.aerial ? 0.6 : 1;
      context.imageSmoothingEnabled = true;
      context.drawImage(this.made.warped.canvas, left, top, (bounds[2] - bounds[0]) * view.scale, (bounds[3] - bounds[1]) * view.scale);
      context.globalAlpha = 1;
    }
    if (editor.shown.grid) this.grid(view);
    if (editor.shown.places)
      for (const table of PLACES)
        this.places(view, table, (points, closed) => [(closed ? [...points, points[0]] : points).map((each) => view.screen(each))]);
    if (editor.shown.tracks) this.tracks(view, (place) => place);
    if (editor.shown.points) this.points(view, "m");
    this.sketch(view);
  }

  /** The ground the camera sees, metres: left, bottom, right, top, bounded where it runs to the horizon. */
  seen() {
    if (this.made.seen) return this.made.seen;
    const { editor } = this;
    const [width, height] = editor.state.image_size;
    const [x0, y0, x1, y1] = this.drawn();
    const bounds = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i <= 24; i++)
      for (let j = 0; j <= 24; j++) {
        const place = editor.projection?.ground([(i * width) / 24, (j * height) / 24]);
        if (!place || place[0] < x0 - FAR_M || place[1] < y0 - FAR_M || place[0] > x1 + FAR_M || place[1] > y1 + FAR_M) continue;
        bounds[0] = Math.min(bounds[0], place[0]);
        bounds[1] = Math.min(bounds[1], place[1]);
        bounds[2] = Math.max(bounds[2], place[0]);
        bounds[3] = Math.max(bounds[3], place[1]);
      }
    this.made.seen = Number.isFinite(bounds[0]) ? bounds.map((each, i) => (i < 2 ? Math.floor(each) : Math.ceil(each))) : [-20, -20, 20, 20];
    return this.made.seen;
  }

  /** The ground that points and drawn places take, metres: left, bottom, right, top. */
  drawn() {
    const { editor } = this;
    const places = ["stop_lines", "crosswalks", "boxes"].flatMap((table) => editor.rows(table).flatMap((each) => each.line ?? each.polygon));
    const points = [...editor.rows("points").map((each) => each.m).filter(Boolean), ...places];
    if (!points.length) return [-10, -10, 20, 20];
    const of = (axis, most) => points.reduce((best, each) => most(best, each[axis]), points[0][axis]);
    return [of(0, Math.min), of(1, Math.min), of(0, Math.max), of(1, Math.max)];
  }

  /** Metres between two lines of the grid in the camera picture. */
  step() {
    const [x0, , x1] = this.seen();
    return Math.max(1, gridStep((x1 - x0) / 45));
  }

  /** Where the plan picture lies: as its two known points say, until then at ten pixels a metre. */
  placed() {
    const { editor } = this;
    return editor.placement ?? new Placement([[editor.aerial.width / 2, editor.aerial.height / 2], [editor.aerial.width / 2 + 100, editor.aerial.height / 2]], [[0, 0], [10, 0]]);
  }

  aerial(view) {
    const { editor } = this;
    if (!editor.aerial || !editor.shown.aerial) return;
    const place = this.placed(), context = view.context;
    const [o, r, d] = [[0, 0], [1, 0], [0, 1]].map((each) => view.screen(place.metres(each)));
    context.save();
    context.transform(r[0] - o[0], r[1] - o[1], d[0] - o[0], d[1] - o[1], o[0], o[1]);
    context.drawImage(editor.aerial, 0, 0);
    context.restore();
  }

  grid(view) {
    const context = view.context;
    const step = gridStep(28 / view.scale);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches || (this.editor.projection && this.editor.shown.warped);
    const [left, bottom] = view.world([0, view.height]), [right, top] = view.world([view.width, 0]);
    const line = (from, to, value) => {
      const strong = Math.abs(value) < step / 2;
      context.globalAlpha = strong ? 0.9 : Math.round(value / step) % 5 ? 0.16 : 0.4;
      stroke(context, [view.screen(from), view.screen(to)], dark ? "#dff6ff" : "#24435c", strong ? 1.6 : 1);
      context.globalAlpha = 1;
    };
    const digits = step < 1 ? 1 : 0;
    for (let x = Math.ceil(left / step) * step; x <= right; x += step) {
      line([x, bottom], [x, top], x);
      if (Math.round(x / step) % 5 === 0) label(context, x.toFixed(digits), [view.screen([x, 0])[0] + 4, view.height - 10], "#e8f4fb", 11);
    }
    for (let y = Math.ceil(bottom / step) * step; y <= top; y += step) {
      line([left, y], [right, y], y);
      if (Math.round(y / step) % 5 === 0) label(context, y.toFixed(digits), [4, view.screen([0, y])[1] - 8], "#e8f4fb", 11);
    }
    label(context, `${step} m`, [view.width - 44, 14], "#e8f4fb", 11);
  }

  places(view, table, runsOf) {
    const { editor } = this, context = view.context;
    const closed = table !== "stop_lines", colour = COLOURS[table];
    editor.rows(table).forEach((row, index) => {
      const points = row.line ?? row.polygon;
      const chosen = editor.selected?.table === table && editor.selected.index === index;
      const runs = runsOf(points, closed);
      if (closed && table !== "roadways") for (const run of runs) fill(context, run, colour, chosen ? 0.3 : 0.14);
      if (table === "roadways" && chosen) for (const run of runs) fill(context, run, colour, 0.12);
      for (const run of runs) stroke(context, run, chosen ? "#fff" : colour, table === "stop_lines" ? 3.5 : 2, table === "roadways" ? [7, 5] : []);
      if (table === "stop_lines") this.direction(view, row, colour);
      const at = editor.pointer.onScreen(view, middle(table === "roadways" ? points.slice(0, 1) : points));
      if (at && (table !== "roadways" || chosen)) label(context, row.signal_group ? `${row.id} · ${row.signal_group}` : row.id ?? `road ${index + 1}`, add(at, 6, -9), colour);
      if (chosen) for (const corner of points) {
        const where = editor.pointer.onScreen(view, corner);
        if (where) dot(context, where, colour, { radius: 4 });
      }
    });
  }

  direction(view, row, colour) {
    const at = middle([row.line[0], row.line.at(-1)]), turn = (row.heading_deg * Math.PI) / 180;
    const from = this.editor.pointer.onScreen(view, at);
    const to = this.editor.pointer.onScreen(view, [at[0] + 2.5 * Math.cos(turn), at[1] + 2.5 * Math.sin(turn)]);
    if (from && to) arrow(view.context, from, to, colour);
  }

  rectangles(view, table) {
    const { editor } = this, context = view.context;
    editor.rows(table).forEach((row, index) => {
      const [left, top, right, bottom] = row.region_px ?? row;
      const chosen = editor.selected?.table === table && editor.selected.index === index;
      const outline = [[left, top], [right, top], [right, bottom], [left, bottom]].map((each) => view.screen(each));
      fill(context, outline, COLOURS[table], 0.15);
      stroke(context, [...outline, outline[0]], chosen ? "#fff" : COLOURS[table], 1.75);
      if (chosen) for (const corner of [outline[0], outline[2]]) dot(context, corner, COLOURS[table], { radius: 4 });
      label(context, row.region_px ? row.signal_group ?? "?" : "text", add(outline[3], 1, 8), COLOURS[table], 11);
    });
  }

  lengths(view) {
    const { editor } = this, context = view.context;
    editor.rows("lengths").forEach((length, index) => {
      const [a, b] = length.px.map((each) => view.screen(each));
      stroke(context, [a, b], COLOURS.lengths, 2);
      for (const end of [a, b]) dot(context, end, COLOURS.lengths, { radius: 3 });
      const measured = editor.fit?.lengths?.[index]?.measured_m;
      const text = measured ? `${measured.toFixed(2)} of ${length.length_m} m` : `${length.length_m} m`;
      label(context, text, add([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], 6, -8), COLOURS.lengths, 11);
    });
  }

  points(view, side) {
    const { editor } = this, context = view.context;
    editor.rows("points").forEach((point, index) => {
      if (!point[side]) return;
      const at = view.screen(point[side]);
      const error = editor.fit?.points?.[index];
      const chosen = editor.selected?.table === "points" && editor.selected.index === index;
      const bad = error?.suspect_px != null, half = !point.px || !point.m;
      const colour = bad ? COLOURS.bad : point.held_out ? COLOURS.held : COLOURS.point;
      if (editor.projection && point.px && point.m) this.miss(view, side, point, at, bad);
      cross(context, at, half ? "#fff" : colour, { ring: chosen });
      const close = view.scale > (side === "px" ? 2.2 : 40);
      if (chosen || bad || half || close) label(context, `${index + 1}${chosen && error?.error_m != null ? `  ${error.error_m.toFixed(2)} m` : ""}`, add(at, 10, -10), colour, 11);
    });
  }

  /** From where a point was clicked to where the ground plane has it. */
  miss(view, side, point, at, bad) {
    const { projection } = this.editor;
    const there = side === "px" ? projection.image(point.m) : projection.ground(point.px);
    if (there) stroke(view.context, [at, view.screen(there)], bad ? COLOURS.bad : "#fff", bad ? 2.5 : 1.25);
  }

  tracks(view, where) {
    const { editor } = this, context = view.context;
    if (!editor.tracks) return;
    for (const track of editor.tracks.tracks) {
      const run = track.x.map((x, i) => where([x, track.y[i]])).map((each) => (each ? view.screen(each) : null));
      context.globalAlpha = 0.5;
      stroke(context, run.filter(Boolean), track.odd ? COLOURS.bad : "#ffe8a3", 1.4);
      context.globalAlpha = 1;
      const i = track.t.findIndex((each) => each >= editor.time);
      if (i < 0 || editor.time < track.t[0] || !run[i]) continue;
      dot(context, run[i], track.odd ? COLOURS.bad : "#ffe8a3", { radius: 6 });
      label(context, `${track.kind} ${(track.v[i] * 3.6).toFixed(0)} km/h`, add(run[i], 10, 0), track.odd ? COLOURS.bad : "#fff", 11);
    }
  }

  sketch(view) {
    const { editor } = this, { sketch, hover } = editor.pointer, context = view.context;
    if (!sketch) return;
    if (sketch.table === "signal_heads" || sketch.table === "osd") {
      if (view !== editor.camera) return;
      const [[l, t], [r, b]] = sketch.points;
      return stroke(context, [[l, t], [r, t], [r, b], [l, b], [l, t]].map((each) => view.screen(each)), COLOURS[sketch.table], 2);
    }
    if (sketch.table === "lengths") {
      if (view !== editor.camera) return;
      const run = [...sketch.points, ...(hover?.view === view ? [hover.world] : [])].map((each) => view.screen(each));
      return stroke(context, run, COLOURS.lengths, 2);
    }
    if (sketch.table === "aerial") {
      if (view === editor.plan) sketch.points.forEach((each, i) => { const at = view.screen(this.placed().metres(each)); cross(context, at, "#ffd166"); label(context, "AB"[i], add(at, 8, -8), "#ffd166"); });
      return;
    }
    const colour = COLOURS[sketch.table];
    const hovering = editor.pointer.hoverPlace();
    const done = sketch.table === "stop_lines" && sketch.points.length === 2;
    const points = hovering && !done ? [...sketch.points, hovering] : sketch.points;
    const run = points.map((each) => editor.pointer.onScreen(view, each)).filter(Boolean);
    stroke(context, run, colour, 2.5, sketch.table === "stop_lines" ? [] : [6, 4]);
    for (const at of run) dot(context, at, colour, { radius: 4 });
    if (done) this.direction(view, { line: sketch.points, heading_deg: heading(sketch.points, hovering) }, colour);
  }
}
