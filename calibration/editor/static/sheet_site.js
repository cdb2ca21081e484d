// The sheet of the site: its name, burned-in text, the plan picture, and where it lies on the globe.

import { trimmed } from "./draft.js";
import { button, field, h, number, select, text } from "./fields.js";
import { banner, post } from "./messages.js";

export function site(panel) {
  const { editor } = panel;
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
    ...aerial(panel),
    h("h3", {}, "On the globe"),
    h("p", { class: "faint" }, "Where the metres' origin lies, for GeoJSON: a GIS can then draw the places."),
    h("div", { class: "row" },
      field("latitude", number("site.origin_lat", site.origin_lat, put("origin_lat"), { label: "latitude of the origin", empty: true })),
      field("longitude", number("site.origin_lon", site.origin_lon, put("origin_lon"), { label: "longitude of the origin", empty: true })),
      field("bearing of y, °", number("site.bearing_deg", site.bearing_deg, put("bearing_deg"), { label: "compass bearing of the y axis", empty: true }))),
    h("div", { class: "row" }, button("Export GeoJSON", () => exported(panel)), h("label", { class: "button" }, "Import GeoJSON or OSM", h("input", { type: "file", class: "hidden", id: "import", accept: ".geojson,.json,.osm,.xml,application/geo+json", onchange: (event) => imported(panel, event.target) }))),
  ];
}

function aerial(panel) {
  const { editor } = panel;
  if (!editor.aerial) return [];
  const anchors = editor.pointer.sketch?.table === "aerial" ? editor.pointer.sketch.points : editor.draft.aerial?.px;
  const given = (panel.anchors ??= structuredClone(editor.draft.aerial?.m ?? [[0, 0], [10, 0]]));
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

async function exported(panel) {
  try {
    const found = await post("/export", { document: trimmed(panel.editor.document) });
    const link = h("a", { href: URL.createObjectURL(new Blob([JSON.stringify(found, null, 1)], { type: "application/geo+json" })), download: `${panel.editor.document.site.id || "site"}.geojson` });
    link.click();
    banner("geojson", "Exported.", { kind: "good", passing: true });
  } catch (error) {
    banner("geojson", "Nothing exported:", { kind: "bad", lines: error.problems });
  }
}

async function imported(panel, input) {
  const file = input.files[0];
  if (!file) return;
  const { editor } = panel;
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
