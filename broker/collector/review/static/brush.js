// The brush over a plate: marks squares of its picture. What is sent is their numbers, never a picture.

import { number, say } from "./speaking.js";

const place = document.getElementById("canvas");
const [picture, canvas] = [place.querySelector("img"), place.querySelector("canvas")];
const size = document.getElementById("size");
const cell = Number(place.dataset.cell);
const strokes = []; // each a Set of squares
let columns = 0;
let rows = 0;
let stroke = null;

await picture.decode();
canvas.width = picture.naturalWidth;
canvas.height = picture.naturalHeight;
columns = Math.ceil(canvas.width / cell);
rows = Math.ceil(canvas.height / cell);
canvas.dataset.ready = "true";

const pen = canvas.getContext("2d");

function painted() {
  return new Set(strokes.flatMap((each) => [...each]));
}

function draw() {
  const squares = painted();
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "rgb(214 48 49 / 62%)";
  for (const square of squares) {
    pen.fillRect((square % columns) * cell, Math.floor(square / columns) * cell, cell, cell);
  }
  if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
    const reach = (Number(size.value) - 0.5) * cell;
    const [x, y] = [(at.x + 0.5) * cell, (at.y + 0.5) * cell];
    for (const [colour, wide] of [["#fff", 3], ["#000", 1]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.strokeRect(x - reach, y - reach, 2 * reach, 2 * reach);
    }
  }
  const form = document.getElementById("paint");
  form.elements.cells.value = [...squares].sort((a, b) => a - b).join(",");
  form.querySelector("button").disabled = !squares.size;
  document.querySelector("#approve button").disabled = squares.size > 0;
  const share = Math.round((100 * squares.size) / (columns * rows));
  document.getElementById("painted").textContent = squares.size
    ? say("Squares painted: {n}, {share} % of it", { n: number(squares.size), share: number(share) })
    : say("Nothing is painted.");
}

function dab(event) {
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((((event.clientX - box.left) / box.width) * canvas.width) / cell);
  const y = Math.floor((((event.clientY - box.top) / box.height) * canvas.height) / cell);
  dabAt(x, y);
}

function dabAt(x, y) {
  const reach = Number(size.value) - 1;
  for (let row = y - reach; row <= y + reach; row += 1) {
    for (let column = x - reach; column <= x + reach; column += 1) {
      const inside = row >= 0 && row < rows && column >= 0 && column < columns;
      if (inside && Math.hypot(row - y, column - x) <= reach + 0.3) stroke.add(row * columns + column);
    }
  }
  draw();
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  stroke = new Set();
  strokes.push(stroke);
  dab(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (stroke) for (const each of event.getCoalescedEvents?.() ?? [event]) dab(each);
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (stroke = null));

const back = () => (strokes.pop(), draw());
document.getElementById("back").addEventListener("click", back);
document.getElementById("clear").addEventListener("click", () => (strokes.splice(0), draw()));
// The brush without a pointer: arrows move it, space dabs; a whole row of dabs is one key held down.
const at = { x: Math.floor(columns / 2), y: Math.floor(rows / 2) };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey) return;
  if (ARROWS[press.key]) {
    const far = press.shiftKey ? 5 : 1;
    at.x = Math.min(Math.max(at.x + ARROWS[press.key][0] * far, 0), columns - 1);
    at.y = Math.min(Math.max(at.y + ARROWS[press.key][1] * far, 0), rows - 1);
    draw();
  } else if (press.key === " ") {
    stroke = new Set();
    strokes.push(stroke);
    dabAt(at.x, at.y);
    stroke = null;
  } else return;
  press.preventDefault();
});
for (const change of ["focus", "blur"]) canvas.addEventListener(change, () => draw());

document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey || press.target.closest("input")) return;
  if (press.key === "z") back();
  if (press.key === "[") size.stepDown();
  if (press.key === "]") size.stepUp();
});
