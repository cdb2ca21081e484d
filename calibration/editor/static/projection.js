// Image pixels to metres on the road and back, as calibration/plane.py fits them.

export class Projection {
  constructor(plane) {
    this.toMetres = plane.to_metres;
    this.toImage = plane.to_image;
    this.bend = plane.bend;
    this.size = plane.image_size;
    this.centre = [this.size[0] / 2, this.size[1] / 2];
    this.radius2 = this.centre[0] ** 2 + this.centre[1] ** 2;
  }

  /** Metres on the road for an image point; null at and beyond the horizon. */
  ground([u, v]) {
    const x = u - this.centre[0], y = v - this.centre[1];
    const scale = 1 / (1 + (this.bend * (x * x + y * y)) / this.radius2);
    return apply(this.toMetres, this.centre[0] + x * scale, this.centre[1] + y * scale);
  }

  /** The image point of a place on the road; null behind the camera. */
  image([x, y]) {
    const straight = apply(this.toImage, x, y);
    if (!straight || !this.bend) return straight;
    const u = straight[0] - this.centre[0], v = straight[1] - this.centre[1];
    const under = 1 - (4 * this.bend * (u * u + v * v)) / this.radius2;
    if (under < 0) return null;
    const scale = 2 / (1 + Math.sqrt(under));
    return [this.centre[0] + u * scale, this.centre[1] + v * scale];
  }
}

function apply(m, x, y) {
  const w = m[6] * x + m[7] * y + m[8];
  if (!(w > 1e-12)) return null;
  return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w];
}

/** Places a plan picture by two of its points whose metres are known: turned, scaled, never sheared. */
export class Placement {
  constructor(px, m) {
    const [du, dv] = [px[1][0] - px[0][0], -(px[1][1] - px[0][1])];
    const [dx, dy] = [m[1][0] - m[0][0], m[1][1] - m[0][1]];
    const length2 = du * du + dv * dv || 1;
    this.a = (dx * du + dy * dv) / length2;
    this.b = (dy * du - dx * dv) / length2;
    this.px = px[0];
    this.m = m[0];
  }

  metres([u, v]) {
    const x = u - this.px[0], y = -(v - this.px[1]);
    return [this.m[0] + this.a * x - this.b * y, this.m[1] + this.b * x + this.a * y];
  }

  pixels([x, y]) {
    const dx = x - this.m[0], dy = y - this.m[1];
    const scale2 = this.a * this.a + this.b * this.b || 1;
    return [this.px[0] + (this.a * dx + this.b * dy) / scale2, this.px[1] - (this.a * dy - this.b * dx) / scale2];
  }
}

/** Whether a point lies in a polygon. */
export function inside([x, y], polygon) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

/** How far a point lies from a piece of line. */
export function distance([x, y], [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay;
  const share = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}
