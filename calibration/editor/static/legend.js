// What the colours of the map of errors mean.

import { sigmaColour } from "./draw.js";
import { h } from "./fields.js";

export function legend(panel) {
  const { editor } = panel;
  if (!editor.projection) return "";
  const patch = (share) => { const each = h("span", { class: "patch" }); each.style.background = `rgb(${sigmaColour(share).join(" ")})`; return each; };
  return h("p", { class: "legend" }, "Error of a place: ", patch(0.1), "good ", patch(0.7), `${(0.7 * editor.limit).toFixed(2)} `, patch(1), `${editor.limit} m, the site's limit `, patch(1.4), "above: nothing is judged there");
}
