// The panel beside the pictures: points with their errors, places with their names, what is wrong, and the site.

import { banner, post } from "./editor.js";
import { trimmed } from "./draft.js";
import { sigmaColour } from "./draw.js";
import { Placement } from "./projection.js";
import { TOOLS, groups } from "./tools.js";

const TABS = { points: "Points", places: "Places", checks: "Checks", site: "Site" };
const KINDS = { stop_lines: "Stop lines", crosswalks: "Crosswalks", roadways: "Roadways", boxes: "Boxes", signal_heads: "Signal heads" };
const OF_TABLE = { points: "points", lengths: "checks", osd: "site", aerial: "site" };

export class Panel {
  constructor(editor, tabs, sheet) {
    this.editor = editor;
    this.tabs = tabs;
    this.sheet = sheet;
    this.tab = "points";
    this.playing = false;
    for (const [name, word] of Object.entries(TABS)) {
      const tab = h("button", { role: "tab", "data-tab": name, "aria-controls": "sheet" }, word);
      tab.addEventListener("click", () => this.show(name));
      tabs.append(tab);
    }
  }

  show(name) {
    this.tab = name;
    this.render();
  }

  reveal({ table }) {
    this.tab = OF_TABLE[table] ?? "places";
  }

  /** Put the cursor into a field once it is there. */
  ask(key) { this.wanted = key; }

  /** Draw the sheet anew after this turn: a field that was just left has its successor in focus by then. */
  render() {
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      const active = document.activeElement;
      const key = this.wanted ?? (this.sheet.contains(active) ? active.dataset.key : null);
      // A field that is being typed in is left alone: its own change draws the sheet again.
      if (!this.wanted && active?.matches?.("input") && this.sheet.contains(active) && active.value !== active.defaultValue) return;
      const top = this.sheet.scrollTop;
      for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.tab === this.tab));
      const mistakes = this.editor.fit ? this.editor.fit.mistakes.length : 0;
      this.tabs.querySelector("[data-tab=checks]").textContent = mistakes ? `Checks (${mistakes})` : "Checks";
      this.sheet.replaceChildren(...this[this.tab]());
      this.sheet.scrollTop = top;
      const field = key && this.sheet.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (field) {
        field.focus({ preventScroll: !this.wanted });
        field.select?.();
      }
      if (this.wanted && field) this.wanted = null;
      const chosen = this.sheet.querySelector(".chosen");
      if (chosen) chosen.scrollIntoView({ block: "nearest" });
    });
  }

  points() {
    const { editor } = this, { fit } = editor;
    const points = editor.rows("points");
    const errors = fit?.points ?? [];
    const rows = points.map((point, index) => {
      const error = errors[index];
      const bad = error?.suspect_px != null;
      const chosen = editor.selected?.table === "points" && editor.selected.index === index;
      const put = (side, axis) => (value) => editor.edit((document) => {
        const row = document.ground_plane.points[index];
        row[side] ??= side === "px" ? [0, 0] : [null, null];
        row[side][axis] = value;
        if (side === "m" && row.m.includes(null)) row.m = row.m.map((each) => each ?? 0);
      });
      // Metres that are half typed wait here: a pair has both or none.
      const typed = (axis) => (value) => {
        const half = (this.half ??= {})[index] ?? {};
        if (points[index].m) return put("m", axis)(value);
        half[axis] = value;
        this.half[index] = half;
        if (half[0] !== undefined && half[1] !== undefined) {
          delete this.half[index];
          editor.edit((document) => { document.ground_plane.points[index].m = [half[0], half[1]]; });
          editor.hint();
        }
      };
      const half = this.half?.[index] ?? {};
      return h("tr", { class: [chosen && "chosen", bad && "bad", (!point.px || !point.m) && "half"].filter(Boolean).join(" ") },
        h("th", { scope: "row" }, button(`${index + 1}`, () => editor.select({ table: "points", index }), { class: "link", title: "Show it" })),
        h("td", {}, number(`points.${index}.u`, point.px?.[0], put("px", 0), { label: `u of point ${index + 1}, pixels` })),
        h("td", {}, number(`points.${index}.v`, point.px?.[1], put("px", 1), { label: `v of point ${index + 1}, pixels` })),
        h("td", {}, number(`points.${index}.x`, point.m?.[0] ?? half[0], typed(0), { label: `x of point ${index + 1}, metres` })),
        h("td", {}, number(`points.${index}.y`, point.m?.[1] ?? half[1], typed(1), { label: `y of point ${index + 1}, metres`, enter: () => document.getElementById("camera").focus() })),
        h("td", { class: "number", title: point.held_out ? "error of a point that is not fitted" : "error where the others put it" }, error?.error_m == null ? "–" : error.error_m.toFixed(2)),
        h("td", {}, h("input", { type: "checkbox", checked: !!point.held_out, "data-key": `points.${index}.held`, title: "Hold out: it only measures the error", "aria-label": `hold out point ${index + 1}`,
          onchange: (event) => editor.edit((document) => { if (event.target.checked) document.ground_plane.points[index].held_out = true; else delete document.ground_plane.points[index].held_out; }) })),
      );
    });
    return [
      this.verdict(),
      points.length ? h("table", { class: "points" },
        h("thead", {}, h("tr", {}, ...["", "u px", "v px", "x m", "y m", "off m", "held"].map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, ...rows)) : h("p", { class: "empty" }, "No points yet. Press P, click a mark on the road, then click it on the plan or type its metres."),
      h("p", { class: "row" }, editor.selected?.table === "points" ? button("Delete this point", () => editor.remove()) : ""),
      this.legend(),
    ];
  }

  /** How good the ground plane is, in one glance. */
  verdict() {
    const { editor } = this, { fit } = editor;
    if (editor.unfit) return h("p", { class: "note bad" }, `No answer from nearmiss: ${editor.unfit}`);
    if (!fit) return h("p", { class: "note" }, "…");
    if (!fit.plane) return h("p", { class: "note" }, `No ground plane yet: ${fit.why}.`);
    const known = fit.points.filter((each) => each && each.suspect_px == null && each.error_m != null);
    const of = (held) => known.filter((each) => each.held_out === held).map((each) => each.error_m).sort((a, b) => a - b);
    const fitted = of(false), held = of(true);
    const median = fitted.length ? fitted[Math.floor(fitted.length / 2)] : null;
    const worst = fitted.at(-1) ?? null;
    const count = fit.points.filter((each) => each && !each.held_out && each.suspect_px == null).length;
    const suspects = fit.points.flatMap((each, index) => (each?.suspect_px != null ? [[index, each]] : []));
    const good = worst !== null && worst <= editor.limit;
    return h("div", {},
      h("div", { class: "figures" },
        figure(`${count}`, "pairs fitted"),
        figure(median === null ? "–" : `${median.toFixed(2)} m`, "median off, left out", good),
        figure(worst === null ? "–" : `${worst.toFixed(2)} m`, "worst", good),
        figure(held.length ? `${held.at(-1).toFixed(2)} m` : "–", `worst of ${held.length} held out`, held.length ? held.at(-1) <= editor.limit : undefined),
        figure(fit.plane.bend ? fit.plane.bend.toFixed(2) : "none", "bend of the lens")),
      count === 4 ? h("p", { class: "note" }, "Four pairs fit any plane: nobody knows how good it is. Two more show it.") : "",
      ...suspects.map(([index, each]) => h("p", { class: "note bad" },
        `Point ${index + 1} lies ${each.error_m === null ? "far" : `${each.error_m.toFixed(2)} m`} (${each.suspect_px.toFixed(0)} px) from where the others put it, and they agree to ${each.others_px.toFixed(1)} px. It is left out: correct or delete it. `,
        button("Show it", () => editor.select({ table: "points", index })))));
  }

  legend() {
    const { editor } = this;
    if (!editor.projection) return "";
    const patch = (share) => { const each = h("span", { class: "patch" }); each.style.background = `rgb(${sigmaColour(share).join(" ")})`; return each; };
    return h("p", { class: "legend" }, "Error of a place: ", patch(0.1), "good ", patch(0.7), `${(0.7 * editor.limit).toFixed(2)} `, patch(1), `${editor.limit} m, the site's limit `, patch(1.4), "above: nothing is judged there");
  }

  places() {
    const { editor } = this;
    const list = h("datalist", { id: "groups" }, ...groups(editor.document).map((each) => h("option", { value: each })));
    const parts = [list];
    for (const [table, title] of Object.entries(KINDS)) {
      const rows = editor.rows(table);
      parts.push(h("h3", {}, `${title} `, button("Draw", () => editor.use(table), { class: "quiet small", title: `${TOOLS[table].name} (${TOOLS[table].key.toUpperCase()})` })));
      if (!rows.length) parts.push(h("p", { class: "faint" }, "none"));
      rows.forEach((row, index) => parts.push(this.place(table, row, index)));
    }
    return parts;
  }

  place(table, row, index) {
    const { editor } = this;
    const chosen = editor.selected?.table === table && editor.selected.index === index;
    const put = (name) => (value) => editor.edit((document) => { if (value === "") delete document[table][index][name]; else document[table][index][name] = value; });
    const key = (name) => `${table}.${index}.${name}`;
    const fields = [];
    if (table !== "signal_heads") fields.push(field("name", text(key("id"), row.id, put("id"), { pattern: "[A-Za-z0-9][A-Za-z0-9_.-]{0,39}" })));
    if (["stop_lines", "crosswalks", "signal_heads"].includes(table))
      fields.push(field("signal group", text(key("signal_group"), row.signal_group, put("signal_group"), { list: "groups", placeholder: table === "signal_heads" ? "" : "no signal" })));
    if (table === "stop_lines" && chosen) {
      fields.push(field("direction, ° from east", number(key("heading_deg"), row.heading_deg, put("heading_deg"), { label: "direction of travel" })));
      fields.push(button("Turn round", () => put("heading_deg")(((row.heading_deg + 360) % 360) - 180), { class: "quiet small" }));
      fields.push(field("right on red", select(key("right_on_red"), row.right_on_red ?? "prohibited", ["prohibited", "after_stop", "allowed"], put("right_on_red"))));
    }
    if (table === "signal_heads" && chosen) {
      fields.push(field("lamps", select(key("aspects"), row.aspects ?? "vehicle", ["vehicle", "pedestrian"], put("aspects"))));
      fields.push(field("stand", select(key("orientation"), row.orientation ?? "vertical", ["vertical", "horizontal"], put("orientation"))));
    }
    const title = button(table === "signal_heads" ? `head ${index + 1}` : row.id ?? `road ${index + 1}`, () => editor.select(chosen ? null : { table, index }), { class: "link", "aria-expanded": String(chosen) });
    return h("div", { class: chosen ? "place chosen" : "place" }, h("div", { class: "row" }, title, chosen ? button("Delete", () => editor.remove(), { class: "quiet small" }) : h("span", { class: "faint" }, row.signal_group ?? "")), ...(chosen ? fields : []));
  }

  checks() {
    const { editor } = this, { fit } = editor;
    const lines = (list, kind, none) => (list?.length ? h("ul", { class: kind }, ...list.map((each) => h("li", {}, each))) : h("p", { class: "faint" }, none));
    const parts = [
      h("h3", {}, "Mistakes"), lines(fit?.mistakes, "bad", "none: it can be saved"),
      h("h3", {}, "Doubts"), lines(fit?.warnings, "doubt", "none"),
      h("h3", {}, "Known lengths ", button("Measure", () => editor.use("lengths"), { class: "quiet small" })),
    ];
    const lengths = editor.rows("lengths");
    if (!lengths.length) parts.push(h("p", { class: "faint" }, "The width of a lane, the length of a stripe: click its ends and see whether the metres agree."));
    lengths.forEach((each, index) => {
      const found = fit?.lengths?.[index];
      const off = found?.measured_m != null ? found.measured_m - each.length_m : null;
      const fits = off !== null && Math.abs(off) <= Math.max(2 * (found.sigma_m ?? 0), 0.03 * each.length_m);
      const chosen = editor.selected?.table === "lengths" && editor.selected.index === index;
      parts.push(h("div", { class: chosen ? "place chosen" : "place" }, h("div", { class: "row" },
        field("expected, m", number(`lengths.${index}.length_m`, each.length_m, (value) => value > 0 && editor.edit((document) => { document.ground_plane.lengths[index].length_m = value; }), { label: `expected length ${index + 1}` })),
        h("span", { class: off === null ? "faint" : fits ? "good" : "wrong" }, off === null ? "not on the ground" : `measured ${found.measured_m.toFixed(2)} ± ${(found.sigma_m ?? 0).toFixed(2)} m, ${off >= 0 ? "+" : "−"}${Math.abs(off).toFixed(2)}`),
        button("×", () => { editor.selected = { table: "lengths", index }; editor.remove(); }, { class: "quiet small", title: "Delete it" }))));
    });
    if (editor.tracks) parts.push(...this.replay());
    parts.push(this.legend());
    return parts;
  }

  replay() {
    const { editor } = this, { tracks } = editor;
    const slider = h("input", { type: "range", min: tracks.start, max: tracks.end, step: "any", value: editor.time || tracks.start, "aria-label": "Time", oninput: (event) => { editor.time = Number(event.target.value); editor.draw(); } });
    const play = button(this.playing ? "Pause" : "Play", () => {
      this.playing = !this.playing;
      play.textContent = this.playing ? "Pause" : "Play";
      let last = performance.now();
      const tick = (now) => {
        if (!this.playing) return;
        editor.time = (editor.time || tracks.start) + (now - last) / 1000;
        if (editor.time > tracks.end) editor.time = tracks.start;
        last = now;
        const there = this.sheet.querySelector("input[type=range]");
        if (there) there.value = editor.time;
        editor.draw();
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    });
    return [
      h("h3", {}, "Tracks on the plan"), h("div", { class: "row" }, play, slider),
      h("table", {}, h("thead", {}, h("tr", {}, ...["kind", "tracks", "median km/h", "fastest", "odd"].map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, ...tracks.kinds.map((each) => h("tr", {}, h("th", { scope: "row" }, each.kind), ...[each.count, (3.6 * each.median_mps).toFixed(0), (3.6 * each.fastest_mps).toFixed(0), each.odd].map((cell) => h("td", { class: "number" }, `${cell}`)))))),
      h("p", { class: "faint" }, "Odd: faster than its kind goes. Where many are, the metres are wrong there."),
    ];
  }

  site() {
    const { editor } = this;
    const site = editor.document.site;
    const put = (name) => (value) => editor.edit((document) => { if (value === "" || value === null) delete document.site[name]; else document.site[name] = value; });
    const osd = editor.document.ground_plane.osd;
    return [
      field("id, as main-5th", text("site.id", site.id, put("id"), { pattern: "[a-z0-9-]{1,40}" })),
      field("name", text("site.name", site.name, put("name"), {})),
      field("time zone", text("site.timezone", site.timezone, put("timezone"), {})),
      field("traffic keeps", select("site.drive_on", site.drive_on ?? "right", ["right", "left"], put("drive_on"))),
      h("h3", {}, "Burned-in text"),
      osd === null
        ? h("p", { class: "note" }, "Does the camera write date or name into the picture? ", button("Draw its rectangle", () => editor.use("osd")), button("There is none", () => editor.edit((document) => { document.ground_plane.osd = []; }), { id: "no-osd" }))
        : h("p", { class: "row" }, osd.length ? `${osd.length} rectangle${osd.length > 1 ? "s" : ""} filled in every plate` : "none", button("Draw", () => editor.use("osd"), { class: "quiet small" }), editor.selected?.table === "osd" ? button("Delete the chosen one", () => editor.remove(), { class: "quiet small" }) : ""),
      ...this.aerial(),
      h("h3", {}, "On the globe"),
      h("p", { class: "faint" }, "Where the metres' origin lies, for GeoJSON: a GIS can then draw the places."),
      h("div", { class: "row" },
        field("latitude", number("site.origin_lat", site.origin_lat, put("origin_lat"), { label: "latitude of the origin", empty: true })),
        field("longitude", number("site.origin_lon", site.origin_lon, put("origin_lon"), { label: "longitude of the origin", empty: true })),
        field("bearing of y, °", number("site.bearing_deg", site.bearing_deg, put("bearing_deg"), { label: "compass bearing of the y axis", empty: true }))),
      h("div", { class: "row" }, button("Export GeoJSON", () => this.export()), h("label", { class: "button" }, "Import GeoJSON", h("input", { type: "file", class: "hidden", id: "import", accept: ".geojson,.json,application/geo+json", onchange: (event) => this.import(event.target) }))),
    ];
  }

  aerial() {
    const { editor } = this;
    if (!editor.aerial) return [];
    const anchors = editor.pointer.sketch?.table === "aerial" ? editor.pointer.sketch.points : editor.draft.aerial?.px;
    const given = (this.anchors ??= structuredClone(editor.draft.aerial?.m ?? [[0, 0], [10, 0]]));
    const put = (i, axis) => (value) => { given[i][axis] = value; };
    const lay = (px, m) => {
      editor.draft.aerial = { px, m };
      editor.draft.keep();
      editor.pointer.sketch = null;
      editor.place();
      editor.use("point");
    };
    const scale = h("input", { type: "text", inputmode: "decimal", "aria-label": "metres a pixel", size: 6 });
    const byScale = () => {
      const mPerPx = Number(scale.value.replace(",", "."));
      if (!(mPerPx > 0)) return scale.setAttribute("aria-invalid", "true");
      const [u, v] = [editor.aerial.width / 2, editor.aerial.height / 2];
      lay([[u, v], [u + 100, v]], [[0, 0], [100 * mPerPx, 0]]);
    };
    return [
      h("h3", {}, "Plan picture"),
      h("p", { class: "row" }, "Metres a pixel, its top to the north, the origin in its middle: ", scale, button("Lay it", byScale)),
      h("p", { class: "row" }, "Or two known points: ", button("Click them on the plan", () => editor.use("aerial"))),
      ...(anchors?.length === 2
        ? [...[0, 1].map((i) => h("div", { class: "row" }, h("strong", {}, "AB"[i]),
            field("x m", number(`aerial.${i}.0`, given[i][0], put(i, 0), { label: `x of ${"AB"[i]}` })), field("y m", number(`aerial.${i}.1`, given[i][1], put(i, 1), { label: `y of ${"AB"[i]}` })))),
          button("Lay it there", () => lay(structuredClone(anchors), structuredClone(given)))]
        : []),
    ];
  }

  async export() {
    try {
      const found = await post("/export", { document: trimmed(this.editor.document) });
      const link = h("a", { href: URL.createObjectURL(new Blob([JSON.stringify(found, null, 1)], { type: "application/geo+json" })), download: `${this.editor.document.site.id || "site"}.geojson` });
      link.click();
      banner("geojson", "Exported.", { kind: "good", passing: true });
    } catch (error) {
      banner("geojson", "Nothing exported:", { kind: "bad", lines: error.problems });
    }
  }

  async import(input) {
    const file = input.files[0];
    if (!file) return;
    const { editor } = this;
    try {
      const found = await post("/import", { document: trimmed(editor.document), text: await file.text() });
      let count = 0;
      editor.edit((document) => {
        for (const [table, rows] of Object.entries(found))
          for (const row of rows) {
            const there = document[table].findIndex((each) => each.id && each.id === row.id);
            if (there >= 0) document[table][there] = { ...document[table][there], ...row };
            else document[table].push(row);
            count++;
          }
      });
      banner("geojson", `${count} places imported; those of the same name were replaced. Undo takes it back.`, { kind: "good" });
    } catch (error) {
      banner("geojson", "Nothing imported:", { kind: "bad", lines: error.problems });
    }
    input.value = "";
  }

  toggle(layer) {
    this.editor.shown[layer] = !this.editor.shown[layer];
    for (const box of document.querySelectorAll(`[data-layer="${layer}"]`)) box.checked = this.editor.shown[layer];
    this.editor.draw();
  }

  switches(camera, plan) {
    const box = (layer, word) => h("label", {}, h("input", { type: "checkbox", "data-layer": layer, checked: this.editor.shown[layer], onchange: () => this.toggle(layer) }), word);
    camera.append(box("grid", "grid"), box("sigma", "errors"), box("places", "places"), box("points", "points"), button("Whole", () => this.whole(), { class: "quiet small", title: "Show all of it (0)" }));
    plan.append(box("warped", "camera from above"), ...(this.editor.aerial ? [box("aerial", "plan picture")] : []), ...(this.editor.tracks ? [box("tracks", "tracks")] : []));
  }

  whole() {
    const { editor } = this;
    editor.camera.show([0, 0], editor.state.image_size);
    const [x0, y0, x1, y1] = editor.layers.drawn();
    editor.plan.show([x0 - 5, y1 + 5], [x1 + 5, y0 - 5]);
  }

  help(dialog) {
    const rows = [...Object.values(TOOLS).map((tool) => [tool.key.toUpperCase(), tool.name]), ["Enter", "close what is drawn"], ["Esc", "give up, then Select"], ["Backspace", "take a corner back"], ["Delete", "delete what is chosen"], ["arrows", "move the chosen point by 0.5 px (Shift: 0.1)"], ["G", "grid on the ground"], ["E", "map of errors"], ["+ − 0", "zoom, whole picture"], ["Ctrl+Z", "undo (Shift: redo)"], ["Ctrl+S", "save"]];
    dialog.replaceChildren(h("h2", {}, "Keys"), h("dl", {}, ...rows.flatMap(([key, word]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, word)])), button("Close", () => dialog.close()));
    dialog.showModal();
  }
}

/** An element; names that begin with "on" are listeners, everything else is a property or an attribute. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "checked") element.checked = value;
    else if (name === "value") element.value = element.defaultValue = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((each) => each !== ""));
  return element;
}

const button = (word, act, properties = {}) => h("button", { type: "button", onclick: act, ...properties }, word);
const field = (word, input) => h("label", { class: "field" }, h("span", {}, word), input);
const figure = (value, word, good) => h("div", { class: good === undefined ? "figure" : good ? "figure good" : "figure wrong" }, h("strong", {}, value), h("span", {}, word));

function number(key, value, put, { label, enter, empty = false }) {
  const input = h("input", { type: "text", inputmode: "decimal", "data-key": key, "aria-label": label, value: value ?? "", size: 6, autocomplete: "off" });
  input.addEventListener("change", () => {
    const typed = input.value.trim().replace(",", ".").replace("−", "-");
    const wrong = typed === "" ? !empty : !/^[+-]?(\d+\.?\d*|\.\d+)$/.test(typed);
    input.toggleAttribute("aria-invalid", wrong);
    input.title = wrong ? "A number is expected, such as 12.5" : "";
    if (wrong) return;
    input.defaultValue = input.value;
    put(typed === "" ? null : Number(typed));
  });
  input.addEventListener("keydown", (press) => {
    if (press.key === "Enter") input.blur(), enter?.();
    if (press.key === "Escape") (input.value = input.defaultValue), input.blur();
  });
  return input;
}

function text(key, value, put, properties) {
  const input = h("input", { type: "text", "data-key": key, value: value ?? "", autocomplete: "off", ...properties });
  input.addEventListener("change", () => {
    input.defaultValue = input.value;
    put(input.value.trim());
  });
  input.addEventListener("keydown", (press) => { if (press.key === "Enter" || press.key === "Escape") input.blur(); });
  return input;
}

function select(key, value, options, put) {
  return h("select", { "data-key": key, onchange: (event) => put(event.target.value) }, ...options.map((each) => { const option = h("option", {}, each); option.selected = each === value; return option; }));
}
