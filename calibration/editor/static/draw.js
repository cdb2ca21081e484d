// What is drawn over the camera picture and over the plan.

import { inside } from "./projection.js";

export const COLOURS = {
  point: "#ffd166", held: "#8ecae6", bad: "#ff4d5e", stop_lines: "#ff5d73", crosswalks: "#4cc9f0",
  roadways: "#b8c0cc", boxes: "#c77dff", signal_heads: "#80ed99", osd: "#f4a261", lengths: "#f9f871",
};
const HALO = "rgba(8, 14, 22, .75)";
const PIECES = 24;

/** Follow an outline of metres through the camera: lists of screen points, broken at the horizon. */
export function traced(view, projection, points, closed) {
  const runs = [];
  let run = [];
  const ends = closed ? [...points, points[0]] : points;
  for (let i = 0; i + 1 < ends.length; i++) {
    for (let k = 0; k <= PIECES; k++) {
      const share = k / PIECES;
      const px = projection.image([
        ends[i][0] + share * (ends[i + 1][0] - ends[i][0]),
        ends[i][1] + share * (ends[i + 1][1] - ends[i][1]),
      ]);
      if (px && Math.abs(px[0]) < 20000 && Math.abs(px[1]) < 20000) run.push(view.screen(px));
      else if (run.length) runs.push(run), (run = []);
    }
  }
  if (run.length) runs.push(run);
  return runs;
}

export function stroke(context, run, colour, width, dash = []) {
  if (run.length < 2) return;
  context.beginPath();
  run.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.lineJoin = context.lineCap = "round";
  context.setLineDash(dash);
  if (width >= 2) {
    context.strokeStyle = HALO;
    context.lineWidth = width + 2.5;
    context.stroke();
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

export function fill(context, run, colour, alpha) {
  context.beginPath();
  run.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

export function dot(context, [x, y], colour, { radius = 5, ring = false, hollow = false } = {}) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = 4;
  context.strokeStyle = HALO;
  context.stroke();
  if (!hollow) {
    context.fillStyle = colour;
    context.fill();
  }
  context.lineWidth = 1.75;
  context.strokeStyle = hollow ? colour : "#10161e";
  context.stroke();
  if (ring) {
    context.beginPath();
    context.arc(x, y, radius + 5, 0, 2 * Math.PI);
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
  }
}

/** A mark one can place to a fraction of a pixel: what is under it stays to be seen. */
export function cross(context, [x, y], colour, { ring = false } = {}) {
  for (const [width, style] of [[4, HALO], [1.6, colour]]) {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 2.5 * dx, y + 2.5 * dy);
      context.lineTo(x + 8 * dx, y + 8 * dy);
    }
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke();
  }
  if (ring) {
    context.beginPath();
    context.arc(x, y, 12, 0, 2 * Math.PI);
    context.strokeStyle = "#fff";
    context.stroke();
  }
}

export function label(context, text, [x, y], colour, size = 12) {
  context.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = HALO;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

export function arrow(context, from, to, colour) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  stroke(context, [from, to], colour, 2.5);
  const head = (turn) => [to[0] - 10 * Math.cos(angle + turn), to[1] - 10 * Math.sin(angle + turn)];
  stroke(context, [head(0.45), to, head(-0.45)], colour, 2.5);
}

/** A round step for grid lines at least so many pixels apart. */
export function gridStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least) ?? 10 * power;
}

/** Lines of the metre grid as they lie on the road. */
export function groundGrid(view, projection, [x0, y0, x1, y1], step) {
  const context = view.context;
  const range = (from, to) => Array.from({ length: Math.floor(to / step) - Math.ceil(from / step) + 1 }, (_, i) => (Math.ceil(from / step) + i) * step);
  const lines = [
    ...range(x0, x1).map((x) => [x, [[x, y0], [x, (y0 + y1) / 2], [x, y1]]]),
    ...range(y0, y1).map((y) => [y, [[x0, y], [(x0 + x1) / 2, y], [x1, y]]]),
  ];
  for (const [value, line] of lines) {
    const strong = Math.abs(value) < 1e-9;
    const tenth = Math.abs(Math.round(value / (5 * step)) * 5 * step - value) < 1e-9;
    context.globalAlpha = strong ? 0.95 : tenth ? 0.7 : 0.38;
    for (const run of traced(view, projection, line, false)) stroke(context, run, strong ? "#fff" : "#dff6ff", strong ? 1.8 : 1);
  }
  context.globalAlpha = 1;
  for (const x of range(x0, x1)) {
    const px = projection.image([x, 0]);
    if (px && Math.round(x / step) % 5 === 0) label(context, `${round(x, 2)}`, add(view.screen(px), 4, -8), "#fff", 10);
  }
}

/** The map of errors as a small picture: clear where good, amber to the limit, red above. */
export function sigmaPicture(sigma, limit, projection, roadways) {
  const canvas = document.createElement("canvas");
  canvas.width = sigma.columns;
  canvas.height = sigma.rows;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(sigma.columns, sigma.rows);
  sigma.cm.forEach((cm, index) => {
    if (cm === null) return;
    const px = [((index % sigma.columns) + 0.5) * sigma.side_px, (Math.floor(index / sigma.columns) + 0.5) * sigma.side_px];
    const place = projection.ground(px);
    if (!place || (roadways.length && !roadways.some((each) => each.polygon.length > 2 && inside(place, each.polygon)))) return;
    // What is good is a hint of green over the road; what is not is seen at once.
    const share = cm / 100 / limit;
    picture.data.set([...sigmaColour(share), 55 + 75 * Math.min(Math.max((share - 0.4) / 0.6, 0), 1)], 4 * index);
  });
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** The colour of an error that is such a share of the limit. */
export function sigmaColour(share) {
  const stops = [[0, [26, 152, 80]], [0.5, [145, 207, 96]], [0.85, [254, 224, 90]], [1, [253, 141, 60]], [1.0001, [215, 48, 39]], [2, [128, 0, 38]]];
  if (share >= 2) return stops.at(-1)[1];
  const above = stops.findIndex(([at]) => at > share);
  const [a, from] = stops[above - 1], [b, to] = stops[above];
  const t = (share - a) / (b - a);
  return from.map((each, i) => Math.round(each + t * (to[i] - each)));
}

/** The camera picture as it lies on the road, seen from above. */
export function rectified(pixels, [width, height], projection, [x0, y0, x1, y1], side) {
  const columns = Math.max(1, Math.min(1400, Math.round((x1 - x0) / side)));
  const rows = Math.max(1, Math.min(1400, Math.round((y1 - y0) / side)));
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const px = projection.image([x0 + ((column + 0.5) * (x1 - x0)) / columns, y1 - ((row + 0.5) * (y1 - y0)) / rows]);
      if (!px) continue;
      const u = Math.floor(px[0]), v = Math.floor(px[1]);
      if (u < 0 || v < 0 || u >= width || v >= height) continue;
      const from = 4 * (v * width + u), to = 4 * (row * columns + column);
      picture.data[to] = pixels[from];
      picture.data[to + 1] = pixels[from + 1];
      picture.data[to + 2] = pixels[from + 2];
      picture.data[to + 3] = 235;
    }
  }
  context.putImageData(picture, 0, 0);
  return { canvas, bounds: [x0, y0, x1, y1] };
}

export function add([x, y], dx, dy) { return [x + dx, y + dy]; }
export function round(value, digits) { return Number(value.toFixed(digits)); }
export function middle(points) {
  return [0, 1].map((axis) => points.reduce((sum, each) => sum + each[axis], 0) / Math.max(points.length, 1));
}
