// What the pointer does in each view with each tool.

import { middle } from "./draw.js";
import { NEAR, hit, onScreen } from "./handles.js";
import { metres, pixels, round } from "./round.js";
import { NAMES, TOOLS, freeName, groups } from "./tools.js";

export class Pointer {
  constructor(editor) {
    this.editor = editor;
    this.sketch = null;
    this.hover = null;
    for (const view of [editor.camera, editor.plan]) this.listen(view);
  }

  buttons(place) {
    for (const [name, tool] of Object.entries(TOOLS)) {
      const button = document.createElement("button");
      button.dataset.tool = name;
      button.title = `${tool.name} (${tool.key.toUpperCase()})`;
      button.setAttribute("aria-label", tool.name);
      button.setAttribute("aria-keyshortcuts", tool.key);
      const icon = Object.assign(document.createElement("span"), { textContent: tool.icon, className: "icon" });
      icon.setAttribute("aria-hidden", "true");
      button.append(icon, Object.assign(document.createElement("span"), { textContent: tool.name, className: "word" }), Object.assign(document.createElement("kbd"), { textContent: tool.key.toUpperCase() }));
      button.addEventListener("click", () => this.editor.use(name));
      place.append(button);
    }
  }

  listen(view) {
    const { canvas } = view;
    let held = null;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      const at = view.position(event);
      const pans = event.button !== 0 || event.altKey;
      const under = pans ? null : hit(this.editor, view, at);
      held = { at: [event.clientX, event.clientY], last: at, hit: under, pans, moved: false, before: null };
      const rectangle = this.editor.tool === "signal_heads" || this.editor.tool === "osd";
      if (!pans && rectangle && view === this.editor.camera) this.sketch = { table: this.editor.tool, points: [view.world(at), view.world(at)] };
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = view.position(event);
      this.hover = { view, world: view.world(at) };
      this.where(view);
      if (held) this.drag(view, held, at, [event.clientX, event.clientY]);
      else {
        canvas.classList.toggle("grab", this.editor.tool === "select" && !!hit(this.editor, view, at));
        if (this.sketch) this.editor.draw();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!held) return;
      const at = view.position(event), was = held;
      held = null;
      if (this.sketch && (this.sketch.table === "signal_heads" || this.sketch.table === "osd")) return this.rectangle(view, at);
      if (was.moved) {
        if (was.before) this.editor.draft.push(was.before);
        return;
      }
      if (!was.pans) this.click(view, at, was.hit);
    });
    canvas.addEventListener("pointerleave", () => {
      this.hover = null;
      this.where(view);
      if (this.sketch) this.editor.draw();
    });
    canvas.addEventListener("dblclick", () => this.finish());
  }

  drag(view, held, at, pointer) {
    // The pointer's own way: a canvas that is laid out anew between down and up makes no drag of a click.
    if (!held.moved && Math.hypot(pointer[0] - held.at[0], pointer[1] - held.at[1]) < 3) return;
    held.moved = true;
    const { editor } = this;
    if (this.sketch && (this.sketch.table === "signal_heads" || this.sketch.table === "osd")) {
      this.sketch.points[1] = view.world(at);
      editor.draw();
    } else if (held.hit?.move && editor.tool === "select") {
      if (!held.before) {
        held.before = structuredClone(editor.document);
        editor.selected = held.hit.selected;
      }
      held.hit.move(view.world(at));
      editor.draw();
    } else view.pan(at[0] - held.last[0], at[1] - held.last[1]);
    held.last = at;
  }

  where(view) {
    const { editor } = this;
    const place = document.getElementById(view === editor.camera ? "camera-where" : "plan-where");
    if (!this.hover || this.hover.view !== view) return void (place.textContent = "");
    const [a, b] = this.hover.world;
    if (view === editor.plan) return void (place.textContent = `${a.toFixed(2)}, ${b.toFixed(2)} m`);
    const ground = editor.projection?.ground([a, b]);
    const cm = this.sigma([a, b]);
    place.textContent = `${a.toFixed(1)}, ${b.toFixed(1)} px` + (ground ? ` · ${ground[0].toFixed(2)}, ${ground[1].toFixed(2)} m` : "") + (cm === null ? "" : ` ± ${(cm / 100).toFixed(2)} m`);
  }

  /** The error of a road user's place at an image point, centimetres; null where unknown. */
  sigma([u, v]) {
    const sigma = this.editor.fit?.sigma;
    if (!sigma) return null;
    const column = Math.floor(u / sigma.side_px), row = Math.floor(v / sigma.side_px);
    if (column < 0 || row < 0 || column >= sigma.columns || row >= sigma.rows) return null;
    return sigma.cm[row * sigma.columns + column];
  }

  click(view, at, hit) {
    const { editor } = this;
    const world = view.world(at);
    const { tool } = editor;
    if (tool === "select") return editor.select(hit?.selected ?? null);
    if (tool === "point") {
      if (hit?.selected.table === "points") return editor.select(hit.selected);
      return this.pair(view, world);
    }
    if (tool === "lengths") return this.length(view, world);
    if (tool === "aerial") return this.anchor(view, world);
    if (tool in NAMES) this.corner(view, world, at);
  }

  pair(view, world) {
    const { editor } = this;
    const side = view === editor.camera ? "px" : "m";
    const value = side === "px" ? pixels(world) : metres(world);
    const waiting = editor.pending === null ? null : editor.rows("points")[editor.pending];
    if (waiting && !waiting[side]) {
      const index = editor.pending;
      editor.edit((document) => { document.ground_plane.points[index][side] = value; });
      editor.select({ table: "points", index });
    } else if (waiting) {
      const index = editor.pending;
      editor.edit((document) => { document.ground_plane.points[index][side] = value; });
    } else {
      const index = editor.rows("points").length;
      editor.pending = index;
      editor.edit((document) => { document.ground_plane.points.push({ px: side === "px" ? value : null, m: side === "m" ? value : null }); });
      editor.select({ table: "points", index });
      if (side === "px") editor.panel.ask(`points.${index}.x`);
    }
    editor.hint();
  }

  corner(view, world, at) {
    const { editor } = this;
    const place = view === editor.plan ? world : editor.projection?.ground(world);
    if (!place) {
      const why = editor.projection ? "That is beyond the horizon." : "Places are drawn in the camera picture once four point pairs are set; the plan takes them at once.";
      return editor.hint(why, true);
    }
    this.sketch ??= { table: editor.tool, points: [] };
    const { points } = this.sketch;
    if (editor.tool === "stop_lines" && points.length === 2) return this.finish(place);
    if (points.length > 2 && this.near(view, at, points[0])) return this.finish();
    // The second half of a double click is no corner: it closes the outline.
    if (points.length && this.near(view, at, points.at(-1), 3)) return;
    points.push(metres(place));
    editor.hint();
    editor.draw();
  }

  near(view, at, point, within = NEAR) {
    const { editor } = this;
    const px = view === editor.plan ? point : editor.projection?.image(point);
    if (!px) return false;
    const [x, y] = view.screen(px);
    return Math.hypot(x - at[0], y - at[1]) < within;
  }

  back() {
    this.sketch.points.pop();
    if (!this.sketch.points.length) this.sketch = null;
    this.editor.hint();
    this.editor.draw();
  }

  cancel() {
    const { editor } = this;
    if (this.sketch) this.sketch = null;
    else if (editor.tool !== "select") return editor.use("select");
    else editor.selected = null;
    editor.hint();
    editor.refresh();
  }

  finish(side = null) {
    const { editor, sketch } = this;
    if (!sketch || !(sketch.table in NAMES)) return;
    const line = sketch.table === "stop_lines";
    if (sketch.points.length < (line ? 2 : 3)) return;
    this.sketch = null;
    const rows = editor.rows(sketch.table), index = rows.length;
    const place = { id: freeName(editor, NAMES[sketch.table]) };
    if (line) {
      place.line = sketch.points;
      place.heading_deg = heading(sketch.points, side ?? this.hoverPlace());
    } else place.polygon = sketch.points;
    editor.edit((document) => { document[sketch.table].push(place); });
    editor.select({ table: sketch.table, index });
    editor.hint();
  }

  /** Where the pointer is on the ground, metres; null where it is not over it. */
  hoverPlace() {
    if (!this.hover) return null;
    return this.hover.view === this.editor.plan ? this.hover.world : this.editor.projection?.ground(this.hover.world) ?? null;
  }

  rectangle(view, at) {
    const { editor, sketch } = this;
    this.sketch = null;
    const [width, height] = editor.state.image_size;
    const within = ([u, v]) => [Math.max(0, Math.min(width, u)), Math.max(0, Math.min(height, v))];
    const [a, b] = [sketch.points[0], view.world(at)].map(within);
    const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])].map((each) => round(each, 1));
    if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return editor.hint("Too small: drag from one corner of the rectangle to the other.", true), editor.draw();
    const index = editor.rows(sketch.table).length;
    editor.edit((document) => {
      if (sketch.table === "osd") (document.ground_plane.osd ??= []).push(box);
      else document.signal_heads.push({ signal_group: groups(document)[0] ?? "A", region_px: box });
    });
    editor.select({ table: sketch.table, index });
  }

  length(view, world) {
    const { editor } = this;
    if (view !== editor.camera) return editor.hint("Known lengths are clicked in the camera picture: they check what it measures.", true);
    this.sketch ??= { table: "lengths", points: [] };
    this.sketch.points.push(pixels(world));
    if (this.sketch.points.length < 2) return editor.draw();
    const px = this.sketch.points, index = editor.rows("lengths").length;
    this.sketch = null;
    const ends = px.map((each) => editor.projection?.ground(each));
    const guess = ends[0] && ends[1] ? round(Math.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1]), 2) : 1;
    editor.edit((document) => { document.ground_plane.lengths.push({ px, length_m: Math.max(guess, 0.01) }); });
    editor.select({ table: "lengths", index });
    editor.panel.ask(`lengths.${index}.length_m`);
  }

  anchor(view, world) {
    const { editor } = this;
    if (view !== editor.plan || !editor.aerial) return editor.hint(null, true);
    this.sketch ??= { table: "aerial", points: [] };
    this.sketch.points.push(editor.layers.placed().pixels(world));
    if (this.sketch.points.length === 2) editor.panel.reveal({ table: "aerial" });
    editor.refresh();
  }

  onScreen(view, place) { return onScreen(this.editor, view, place); }
}

/** The direction of travel over a stop line, degrees from east, on the side of a place. */
export function heading(line, side) {
  const [a, b] = [line[0], line.at(-1)];
  const across = [-(b[1] - a[1]), b[0] - a[0]];
  const [x, y] = middle(line);
  const sign = side && (side[0] - x) * across[0] + (side[1] - y) * across[1] < 0 ? -1 : 1;
  return round((Math.atan2(sign * across[1], sign * across[0]) * 180) / Math.PI, 1);
}
