// The sheet of point pairs: each with its metres and its error, and what the ground plane is worth.

import { button, figure, h, number } from "./fields.js";
import { legend } from "./legend.js";

export function points(panel) {
  const { editor } = panel, { fit } = editor;
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
      const half = (panel.half ??= {})[index] ?? {};
      if (points[index].m) return put("m", axis)(value);
      half[axis] = value;
      panel.half[index] = half;
      if (half[0] !== undefined && half[1] !== undefined) {
        delete panel.half[index];
        editor.edit((document) => { document.ground_plane.points[index].m = [half[0], half[1]]; });
        editor.hint();
      }
    };
    const half = panel.half?.[index] ?? {};
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
    verdict(panel),
    points.length ? h("table", { class: "points" },
      h("thead", {}, h("tr", {}, ...["", "u px", "v px", "x m", "y m", "off m", "held"].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, ...rows)) : h("p", { class: "empty" }, "No points yet. Press P, click a mark on the road, then click it on the plan or type its metres."),
    h("p", { class: "row" }, editor.selected?.table === "points" ? button("Delete this point", () => editor.remove()) : ""),
    legend(panel),
  ];
}

/** How good the ground plane is, in one glance. */
function verdict(panel) {
  const { editor } = panel, { fit } = editor;
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
      figure(median === null ? "–" : `${median.toFixed(2)} m`, "median error", good),
      figure(worst === null ? "–" : `${worst.toFixed(2)} m`, "worst error", good),
      figure(held.length ? `${held.at(-1).toFixed(2)} m` : "–", `worst of ${held.length} held out`, held.length ? held.at(-1) <= editor.limit : undefined),
      figure(fit.plane.bend ? fit.plane.bend.toFixed(2) : "none", "lens bend")),
    count === 4 ? h("p", { class: "note" }, "Four pairs fit any plane: nobody knows how good it is. Two more show it.") : "",
    ...suspects.map(([index, each]) => h("p", { class: "note bad" },
      `Point ${index + 1} lies ${each.error_m === null ? "far" : `${each.error_m.toFixed(2)} m`} (${each.suspect_px.toFixed(0)} px) from where the others put it, and they agree to ${each.others_px.toFixed(1)} px. It is left out: correct or delete it. `,
      button("Show it", () => editor.select({ table: "points", index })))));
}
