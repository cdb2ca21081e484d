/** What is drawn beside road users: the event's place, unexplained motion, a blank instant, scale and north. */

import { draw, titled } from "./svg.js";
import { number, say } from "./words.js";

export function spotShape(svg, [x, y], radius) {
  const group = svg.appendChild(draw("g", { class: "nm-spot" }));
  const ring = group.appendChild(draw("circle", { cx: x, cy: y, r: radius, "stroke-width": radius / 6 }));
  const arm = radius * 0.45;
  const cross = draw("path", {
    d: `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`,
    "stroke-width": radius / 6,
  });
  group.append(cross, titled(say("where the event happened")));
  return (time) => {
    const near = Math.max(0, 1 - Math.abs(time) / 0.6);
    ring.setAttribute("r", radius * (1 + 0.5 * near));
    group.classList.toggle("nm-now", near > 0);
  };
}

export function moverShapes(clip, svg) {
  const shape = svg.appendChild(draw("path", { class: "nm-movers" }));
  shape.append(titled(say("something moved that no road user explains")));
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

export function blankShape(svg, [left, top, width, height], unit) {
  const group = svg.appendChild(draw("g", { class: "nm-blank nm-gone" }));
  group.append(draw("rect", { x: left, y: top, width, height }));
  const words = draw("text", {
    x: left + width / 2,
    y: top + height / 2,
    "font-size": unit * 3.4,
    "text-anchor": "middle",
  });
  words.textContent = say("no picture at this instant");
  group.append(words);
  return (blank) => group.classList.toggle("nm-gone", !blank);
}

export function furniture(svg, [left, top, width, height], unit) {
  const length = [1, 2, 5, 10, 20, 50].filter((metre) => metre <= width / 4).pop() || 1;
  const [x, y] = [left + unit * 3, top + height - unit * 3];
  const group = draw("g", { class: "nm-furniture", "aria-hidden": "true" });
  group.append(draw("path", { d: `M${x} ${y - unit}V${y}H${x + length}V${y - unit}`, "stroke-width": unit * 0.35 }));
  const words = draw("text", { x: x + length / 2, y: y - unit * 1.2, "font-size": unit * 2.5, "text-anchor": "middle" });
  words.textContent = say("{n} m", { n: number(length) });
  const north = [left + width - unit * 4, top + unit * 9];
  group.append(words, draw("path", { d: `M${north[0]} ${north[1]}v${-unit * 6}l${-unit} ${unit * 2}m${unit} ${-unit * 2}l${unit} ${unit * 2}`, "stroke-width": unit * 0.4 }));
  const n = draw("text", { x: north[0], y: north[1] + unit * 2.8, "font-size": unit * 2.6, "text-anchor": "middle" });
  n.textContent = say("N");
  group.append(n);
  svg.append(group);
}
