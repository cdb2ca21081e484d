/** The numbers of road users: over the head, and where that would cover feet or another number, beside it. */

import { clamp } from "./geometry.js";
import { draw, putAt } from "./svg.js";

/** Where a badge may stand, in its own widths and heights from over the head; the first is where it belongs. */
const SPOTS = [
  [0, 0], [1, 0.35], [-1, 0.35], [0, -1], [1, -0.65], [-1, -0.65], [1.3, 1.1], [-1.3, 1.1], [0, -2], [2, -0.2], [-2, -0.2],
];

/** A number in the colour of its class; null where the clip gives none. Who has no part in the event: smaller. */
export function badgeOf(glyph, layer, unit) {
  if (glyph.number === null) return null;
  const text = String(glyph.number);
  const size = glyph.role === "other" ? unit * 0.78 : unit;
  const half = size * (1.05 + 0.55 * text.length);
  const group = layer.appendChild(draw("g", { class: `nm-badge nm-kind-${glyph.kind} nm-${glyph.role}` }));
  const line = group.appendChild(draw("path", { class: "nm-lead", "stroke-width": unit * 0.25 }));
  group.append(draw("rect", { x: -half, y: -size * 1.4, width: 2 * half, height: size * 2.8, rx: size * 1.4 }));
  const label = group.appendChild(draw("text", { "font-size": size * 2.3, "text-anchor": "middle", y: size * 0.8 }));
  label.textContent = text;
  return { group, line, half, tall: size * 1.4, first: glyph.role !== "other", kept: 0 };
}

/**
 * Puts the badges of an instant; `wanted` are `{badge, head, feet}`, in the drawing's units.
 *
 * A badge stays where it was as long as nothing is in its way, so that none jumps about while the clip plays.
 */
export function arrange(wanted, unit, [left, top, width, height]) {
  const taken = [];
  const inView = ({ feet: [x, y] }) => x >= left && x <= left + width && y >= top && y <= top + height;
  for (const each of wanted) each.badge.group.classList.toggle("nm-gone", !inView(each));
  const there = wanted.filter(inView);
  const feet = there.map((each) => each.feet);
  for (const { badge, head } of [...there].sort((a, b) => b.badge.first - a.badge.first)) {
    const reach = [badge.half, badge.tall];
    const at = (n) => [
      clamp(head[0] + SPOTS[n][0] * (2 * badge.half + unit * 0.4), left + badge.half, left + width - badge.half),
      clamp(head[1] + SPOTS[n][1] * (2 * badge.tall + unit * 0.4) - badge.tall, top + badge.tall, top + height - badge.tall),
    ];
    const isFree = (n) => {
      const [x, y] = at(n);
      const beside = ([ox, oy], [rx, ry]) => Math.abs(x - ox) >= reach[0] + rx || Math.abs(y - oy) >= reach[1] + ry;
      return taken.every((each) => beside(each.at, each.reach)) && feet.every((foot) => beside(foot, [unit * 0.6, unit * 0.6]));
    };
    const order = [badge.kept, ...SPOTS.keys()];
    badge.kept = order.find(isFree) ?? 0;
    const [x, y] = at(badge.kept);
    taken.push({ at: [x, y], reach });
    putAt(badge.group, x, y);
    const moved = badge.kept ? `M0 0L${head[0] - x} ${head[1] - y}` : "";
    badge.line.setAttribute("d", moved);
  }
}
