// One canvas one can zoom and pan: its own coordinates are image pixels (y down) or metres (y up).

export class View {
  constructor(canvas, { up }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.up = up ? -1 : 1;
    this.scale = 1;
    this.at = [0, 0];
    this.least = up ? 0.2 : 0.1;
    this.most = up ? 2000 : 60;
    this.redraw = () => {};
    this.width = this.height = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0016), this.position(event));
    }, { passive: false });
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const first = !this.width;
    const middle = first ? null : this.world([this.width / 2, this.height / 2]);
    const ratio = window.devicePixelRatio || 1;
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    this.ratio = ratio;
    if (first && this.wanted) this.show(...this.wanted);
    else if (middle) this.centre(middle);
    this.redraw();
  }

  /** Show a rectangle of the view's own coordinates as large as it fits. */
  show([left, top], [right, bottom]) {
    this.wanted = [[left, top], [right, bottom]];
    if (!this.width) return;
    const margin = 12;
    this.scale = Math.min(
      (this.width - 2 * margin) / Math.max(Math.abs(right - left), 1e-6),
      (this.height - 2 * margin) / Math.max(Math.abs(bottom - top), 1e-6),
    );
    this.centre([(left + right) / 2, (top + bottom) / 2]);
    this.redraw();
  }

  centre([x, y]) {
    this.at = [this.width / 2 - x * this.scale, this.height / 2 - this.up * y * this.scale];
  }

  zoom(factor, about = [this.width / 2, this.height / 2]) {
    const fixed = this.world(about);
    this.scale = Math.max(this.least, Math.min(this.most, this.scale * factor));
    this.at = [about[0] - fixed[0] * this.scale, about[1] - this.up * fixed[1] * this.scale];
    this.redraw();
  }

  pan(dx, dy) {
    this.at = [this.at[0] + dx, this.at[1] + dy];
    this.redraw();
  }

  /** Where a pointer is on the canvas. */
  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  world([x, y]) {
    return [(x - this.at[0]) / this.scale, (this.up * (y - this.at[1])) / this.scale];
  }

  screen([x, y]) {
    return [this.at[0] + x * this.scale, this.at[1] + this.up * y * this.scale];
  }

  /** Wipe the canvas; ``drawn`` is how many corners of an outline are set. */
  begin(drawn) {
    const context = this.context;
    context.setTransform(this.ratio || 1, 0, 0, this.ratio || 1, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    // What is where, for whoever drives the page from outside.
    this.canvas.dataset.drawn = drawn;
    this.canvas.dataset.view = [this.scale, ...this.at].map((each) => each.toFixed(5)).join(" ");
    return context;
  }
}
