/** Elements of the page and of drawings, and the outlines drawn most. */

export const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function titled(words) {
  const title = draw("title", {});
  title.textContent = words;
  return title;
}

export function path(points, closed) {
  return `M${points.map(([x, y]) => `${tidy(x)} ${tidy(y)}`).join("L")}${closed ? "z" : ""}`;
}

export function boxPath(u, v, half, tall) {
  return `M${u - half} ${v}V${v - tall}H${u + half}V${v}z`;
}

export function ellipsePath(x, y, rx, ry) {
  return `M${x - rx} ${y}a${rx} ${ry} 0 1 0 ${2 * rx} 0a${rx} ${ry} 0 1 0 ${-2 * rx} 0z`;
}

export function putAt(shape, x, y) {
  shape.setAttribute("transform", `translate(${tidy(x)} ${tidy(y)})`);
}

export const tidy = (value) => Math.round(value * 1000) / 1000;
