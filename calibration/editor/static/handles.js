// What lies under the pointer, and what can be taken hold of.

import { distance, inside } from "./projection.js";
import { metres, pixels, round } from "./round.js";
import { NAMES } from "./tools.js";

export const NEAR = 10;

/** What is under the pointer: the selected thing's handles first, then points, corners, outlines, areas. */
export function hit(editor, view, at) {
  const found = handles(editor, view);
  const chosen = ({ selected }) => editor.selected?.table === selected.table && editor.selected?.index === selected.index;
  let best = null, least = NEAR;
  for (const handle of found) {
    const far = Math.hypot(handle.at[0] - at[0], handle.at[1] - at[1]) - (chosen(handle) ? 3 : 0) - (handle.selected.table === "points" ? 2 : 0);
    if (far < least) (best = handle), (least = far);
  }
  if (best) return best;
  const world = view === editor.plan ? view.world(at) : editor.projection?.ground(view.world(at));
  for (const table of ["stop_lines", "crosswalks", "boxes", "roadways"]) {
    for (const [index, row] of editor.rows(table).entries()) {
      const outline = (row.line ?? row.polygon).map((each) => onScreen(editor, view, each));
      const closed = table !== "stop_lines";
      for (let i = closed ? 0 : 1; i < outline.length; i++) {
        const from = outline.at(i - 1), to = outline[i];
        if (from && to && distance(at, from, to) < 6) return { selected: { table, index } };
      }
      if (closed && table !== "roadways" && world && inside(world, row.polygon)) return { selected: { table, index } };
    }
  }
  if (view === editor.camera) {
    const [u, v] = view.world(at);
    for (const table of ["signal_heads", "osd"])
      for (const [index, row] of editor.rows(table).entries()) {
        const [left, top, right, bottom] = row.region_px ?? row;
        if (u >= left && u <= right && v >= top && v <= bottom) return { selected: { table, index } };
      }
  }
  return null;
}

/** Where a place on the ground is on the canvas of a view; null where it is not seen. */
export function onScreen(editor, view, place) {
  const point = view === editor.plan ? place : editor.projection?.image(place);
  return point ? view.screen(point) : null;
}

function handles(editor, view) {
  const camera = view === editor.camera;
  const found = [];
  const put = (table, index, at, move) => { if (at) found.push({ selected: { table, index }, at, move }); };
  editor.rows("points").forEach((point, index) => {
    const side = camera ? "px" : "m";
    if (point[side]) put("points", index, view.screen(point[side]), (world) => { editor.rows("points")[index][side] = camera ? pixels(world) : metres(world); });
  });
  for (const table of Object.keys(NAMES))
    editor.rows(table).forEach((row, index) =>
      (row.line ?? row.polygon).forEach((corner, vertex) =>
        put(table, index, onScreen(editor, view, corner), (world) => {
          const place = camera ? editor.projection?.ground(world) : world;
          const moved = editor.rows(table)[index];
          if (place) (moved.line ?? moved.polygon)[vertex] = metres(place);
        })));
  if (!camera) return found;
  for (const table of ["signal_heads", "osd"])
    editor.rows(table).forEach((row, index) => {
      const box = row.region_px ?? row;
      for (const [vertex, at] of [[0, box.slice(0, 2)], [2, box.slice(2)]])
        put(table, index, view.screen(at), (world) => {
          const moved = editor.rows(table)[index], rectangle = moved.region_px ?? moved;
          rectangle[vertex] = round(world[0], 1);
          rectangle[vertex + 1] = round(world[1], 1);
        });
    });
  editor.rows("lengths").forEach((length, index) =>
    length.px.forEach((end, vertex) => put("lengths", index, view.screen(end), (world) => { editor.rows("lengths")[index].px[vertex] = pixels(world); })));
  return found;
}
