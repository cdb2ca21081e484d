// The sheet of places: stop lines, crosswalks, roads and signal heads, with their names and signal groups.

import { button, field, h, number, select, text } from "./fields.js";
import { TOOLS, groups } from "./tools.js";

const KINDS = { stop_lines: "Stop lines", crosswalks: "Crosswalks", roadways: "Roadways", boxes: "Boxes", signal_heads: "Signal heads" };

export function places(panel) {
  const { editor } = panel;
  const list = h("datalist", { id: "groups" }, ...groups(editor.document).map((each) => h("option", { value: each })));
  const parts = [list];
  for (const [table, title] of Object.entries(KINDS)) {
    const rows = editor.rows(table);
    parts.push(h("h3", {}, `${title} `, button("Draw", () => editor.use(table), { class: "quiet small", title: `${TOOLS[table].name} (${TOOLS[table].key.toUpperCase()})` })));
    if (!rows.length) parts.push(h("p", { class: "faint" }, "none"));
    rows.forEach((row, index) => parts.push(place(panel, table, row, index)));
  }
  return parts;
}

function place(panel, table, row, index) {
  const { editor } = panel;
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
