// The calibrate page: click point pairs, draw the places, see at once what the metres are worth.

import { Draft, trimmed } from "./draft.js";
import { Layers } from "./layers.js";
import { banner, get, post } from "./messages.js";
import { Panel } from "./panel.js";
import { Pointer } from "./pointer.js";
import { Placement, Projection } from "./projection.js";
import { TOOLS } from "./tools.js";
import { showSteps } from "./steps.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const NUDGE_PX = 0.5;

/** All that the parts of the page share. */
class Editor {
  constructor(state, pixels) {
    this.state = state;
    this.pixels = pixels;
    this.limit = state.limit_m;
    this.fit = null;
    this.projection = null;
    this.placement = null;
    this.aerial = null;
    this.tracks = null;
    this.time = 0;
    this.selected = null;
    this.pending = null;
    this.tool = "select";
    this.shown = { grid: true, sigma: true, places: true, points: true, warped: true, aerial: true, tracks: true };
    this.camera = new View($("camera"), { up: false });
    this.plan = new View($("plan"), { up: true });
    this.draft = new Draft(state, () => this.changed());
    this.layers = new Layers(this);
    this.pointer = new Pointer(this);
    this.panel = new Panel(this, $("tabs"), $("sheet"));
    this.camera.redraw = () => this.layers.camera();
    this.plan.redraw = () => this.layers.plan();
    this.panel.whole();
    this.place();
  }

  get document() { return this.draft.document; }

  /** The rows of a table of the draft; those of the ground plane by their own name. */
  rows(table) {
    if (table === "points" || table === "lengths") return this.document.ground_plane[table];
    if (table === "osd") return this.document.ground_plane.osd ?? [];
    return this.document[table];
  }

  edit(change) { this.draft.edit(change); }

  changed() {
    if (this.selected && !this.rows(this.selected.table)[this.selected.index]) this.selected = null;
    if (this.pending !== null) {
      const point = this.rows("points")[this.pending];
      if (!point || (point.px && point.m)) this.pending = null;
    }
    this.refit();
    this.refresh();
  }

  refresh() {
    this.draw();
    this.panel.render();
    const untouched = !this.draft.digest && !this.draft.past.length && !this.draft.broughtBack;
    const unsaved = this.draft.unsaved && !untouched;
    $("status").textContent = unsaved ? (this.draft.unkept ? "Unsaved, and the browser keeps no draft" : "Unsaved changes, kept in this browser") : untouched ? "New site" : "Saved";
    $("status").className = unsaved ? (this.draft.unkept ? "unkept" : "unsaved") : "";
    document.title = `${unsaved ? "• " : ""}${this.state.file} · nearmiss calibrate`;
    $("coach").hidden = this.rows("points").length > 0 || !!this.projection;
    $("coach").querySelector(".with-aerial").hidden = !this.aerial;
    $("coach").querySelector(".without-aerial").hidden = !!this.aerial;
    showSteps(this, $("steps"));
    $("undo").disabled = !this.draft.past.length;
    $("redo").disabled = !this.draft.future.length;
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.layers.camera();
      this.layers.plan();
    });
  }

  select(selected) {
    this.selected = selected;
    if (selected) this.panel.reveal(selected);
    this.refresh();
  }

  remove() {
    if (!this.selected) return;
    const { table, index } = this.selected;
    this.selected = this.pending = null;
    // Metres that were half typed belong to a row, and the rows move up.
    this.panel.half = {};
    this.edit((document) => {
      if (["points", "lengths", "osd"].includes(table)) document.ground_plane[table].splice(index, 1);
      else document[table].splice(index, 1);
    });
  }

  use(tool) {
    this.tool = tool;
    this.pointer.sketch = null;
    for (const button of $("tools").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.hint();
    this.draw();
  }

  hint(text = null, bad = false) {
    $("hint").textContent = text ?? TOOLS[this.tool].hint(this);
    $("hint").className = bad ? "hint bad" : "hint";
  }

  /** Ask for the ground plane of the draft: one question at a time, the last draft wins. */
  async refit() {
    this.wanted = true;
    $("sheet").dataset.fit = "waiting";
    if (this.asking) return;
    this.asking = true;
    while (this.wanted) {
      await new Promise((done) => setTimeout(done, 120));
      this.wanted = false;
      try {
        const fit = await post("/fit", { document: trimmed(this.document) });
        if (this.wanted) continue;
        const same = JSON.stringify(fit.plane) === JSON.stringify(this.fit?.plane);
        this.fit = fit;
        this.projection = fit.plane ? new Projection(fit.plane) : null;
        this.layers.forget(same);
        this.unfit = null;
      } catch (error) {
        this.unfit = error.message;
      }
    }
    this.asking = false;
    $("sheet").dataset.fit = "done";
    if (this.pointer.sketch === null) this.hint();
    this.refresh();
  }

  async save() {
    $("save").disabled = true;
    const sent = trimmed(this.document);
    try {
      const { digest, besides } = await post("/save", { document: sent, digest: this.draft.digest });
      this.draft.saved(digest, sent);
      banner("problems", null);
      banner("draft", null);
      if (besides.length) banner("besides", "The site file is written, but not what goes beside it:", { kind: "bad", lines: besides });
      banner("saved", `${this.state.file} is written. The file as it was before is beside it as ${this.state.file}.bak.`, { kind: "good", passing: true });
    } catch (error) {
      if (error.changed) await this.conflict(error);
      else banner("problems", "Not saved, the file is as it was:", { kind: "bad", lines: error.problems });
    }
    $("save").disabled = false;
    this.refresh();
  }

  async conflict(error) {
    const state = await get("/state");
    banner("problems", `Not saved: ${error.message}.`, {
      kind: "bad",
      actions: [
        ["Write over it", () => { this.draft.digest = state.digest; banner("problems", null); this.save(); }],
        ["Take the file as it is now", () => { this.draft.keep(); localStorage.removeItem(this.draft.key); location.reload(); }],
      ],
    });
  }

  /** Lay the plan picture where its two known points say. */
  place() {
    const given = this.draft.aerial;
    this.placement = given ? new Placement(given.px, given.m) : null;
    this.layers.forget();
    this.draw();
  }

  nudge(dx, dy) {
    const point = this.selected?.table === "points" ? this.rows("points")[this.selected.index] : null;
    if (!point?.px) return false;
    this.edit((document) => {
      const moved = document.ground_plane.points[this.selected.index];
      moved.px = [round2(moved.px[0] + dx), round2(moved.px[1] + dy)];
    });
    return true;
  }

  /** Move every image point along with the camera (a 2 x 3 matrix from then to now). */
  follow(matrix, size = null) {
    const move = ([u, v]) => [0, 1].map((row) => round2(matrix[row][0] * u + matrix[row][1] * v + matrix[row][2]));
    this.edit((document) => {
      if (size) {
        document.ground_plane.image_size = size;
        // Burned-in text stays where it is when the camera moves, yet grows with the picture.
        document.ground_plane.osd = document.ground_plane.osd?.map((box) => [...move(box.slice(0, 2)), ...move(box.slice(2))]) ?? null;
      }
      for (const point of document.ground_plane.points) if (point.px) point.px = move(point.px);
      for (const length of document.ground_plane.lengths) length.px = length.px.map(move);
      for (const head of document.signal_heads) {
        head.region_px = [...move(head.region_px.slice(0, 2)), ...move(head.region_px.slice(2))];
        for (const lamp of ["red_px", "amber_px", "green_px"]) if (head[lamp]) head[lamp] = move(head[lamp]);
      }
    });
  }
}

const round2 = (value) => Math.round(value * 100) / 100;

function keys(editor) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (press) => {
    const control = press.ctrlKey || press.metaKey;
    const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
    if (control && key === "s") return press.preventDefault(), document.activeElement?.blur?.(), setTimeout(() => editor.save());
    if (press.target.closest("input, select, textarea, dialog[open]")) return;
    if (control && key === "z") return press.preventDefault(), press.shiftKey ? editor.draft.redo() : editor.draft.undo();
    if (control && key === "y") return press.preventDefault(), editor.draft.redo();
    if (control || press.altKey) return;
    const tool = Object.keys(TOOLS).find((name) => TOOLS[name].key === key);
    const step = press.shiftKey ? NUDGE_PX / 5 : NUDGE_PX;
    if (tool) editor.use(tool);
    else if (key === "g") editor.panel.toggle("grid");
    else if (key === "e") editor.panel.toggle("sigma");
    else if (key === "Escape") editor.pointer.cancel();
    else if (key === "Enter" && !press.target.closest("button")) editor.pointer.finish();
    else if (key === "Backspace" && editor.pointer.sketch) editor.pointer.back();
    else if (key === "Delete" || key === "Backspace") editor.remove();
    else if (key in arrows && !press.target.closest("[role=tablist]")) {
      if (!editor.nudge(arrows[key][0] * step, arrows[key][1] * step)) return;
    } else if (key === "+" || key === "=") (document.activeElement === $("plan") ? editor.plan : editor.camera).zoom(1.25);
    else if (key === "-") (document.activeElement === $("plan") ? editor.plan : editor.camera).zoom(0.8);
    else if (key === "0") editor.panel.whole();
    else if (key === "?") editor.panel.help($("dialog"));
    else return;
    press.preventDefault();
  });
}

/** Tell where the points were set in a picture of another size, and offer to scale them. */
function otherSize(editor) {
  const [width, height] = editor.state.image_size, then = editor.document.ground_plane.image_size;
  if (then[0] === width && then[1] === height) return;
  const [x, y] = [width / then[0], height / then[1]];
  const same = Math.abs(x / y - 1) < 0.01;
  const say = `The site file is for pictures of ${then[0]} × ${then[1]}, this recording has ${width} × ${height}.`;
  banner("size", same ? say : `${say} That is another shape: is it the same camera?`, {
    kind: "bad",
    actions: same ? [["Scale all image points", () => { editor.follow([[x, 0, 0], [0, y, 0]], [width, height]); banner("size", null); }]] : [],
  });
}

async function pictureOf(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return createImageBitmap(await answer.blob());
}

async function background([width, height]) {
  const bytes = new Uint8Array(await (await fetch("/background")).arrayBuffer());
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    pixels[to] = bytes[from];
    pixels[to + 1] = bytes[from + 1];
    pixels[to + 2] = bytes[from + 2];
    pixels[to + 3] = 255;
  }
  return pixels;
}

async function start() {
  const state = await get("/state");
  const pixels = await background(state.image_size);
  const editor = new Editor(state, pixels);
  editor.picture = await createImageBitmap(new ImageData(pixels, ...state.image_size));
  if (state.aerial) editor.aerial = await pictureOf("/aerial").catch(() => null);
  if (state.aerial && !editor.aerial) banner("aerial", "The plan picture cannot be shown: the browser does not know its format.", { kind: "bad" });
  if (state.tracks) editor.tracks = await get("/tracks");
  $("undo").addEventListener("click", () => editor.draft.undo());
  $("redo").addEventListener("click", () => editor.draft.redo());
  $("save").addEventListener("click", () => editor.save());
  $("help").addEventListener("click", () => editor.panel.help($("dialog")));
  editor.pointer.buttons($("tools"));
  editor.panel.switches($("camera-layers"), $("plan-layers"));
  keys(editor);
  const { broughtBack } = editor.draft;
  if (broughtBack) {
    const when = new Date(broughtBack.at).toLocaleString();
    const stale = broughtBack.stale ? " The file has changed since." : "";
    banner("draft", `Your unsaved work of ${when} is back.${stale}`, { actions: [["Discard it", () => { editor.draft.discard(); banner("draft", null); }]] });
  }
  otherSize(editor);
  window.addEventListener("storage", (event) => {
    if (event.key === editor.draft.key && event.newValue) banner("tabs", "This site is open in another tab as well, and was changed there. Close one of them: the browser keeps the draft of the tab that changed last.", { kind: "bad" });
  });
  if (state.mistakes.length) banner("file", `${state.file} has mistakes; it stays as it is until they are mended:`, { kind: "bad", lines: state.mistakes });
  if (state.moved) banner("moved", state.moved.text, { kind: "bad", actions: state.moved.points ? [["Move all image points along", () => { editor.follow(state.moved.points); banner("moved", null); }]] : [] });
  editor.use(editor.rows("points").length ? "select" : "point");
  editor.changed();
  document.body.dataset.ready = "yes";
}

start().catch((error) => banner("start", `The page could not be opened: ${error.message}`, { kind: "bad" }));
