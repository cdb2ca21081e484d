/** The ground plane of a plate: metres to pixels of the camera's picture, and back. */

/** The ground plane: metres to pixels, back, and the scale at a place. Null without one. */
export function groundOf(plate) {
  const h = plate.homography;
  if (!h) return null;
  const inverse = inverted(h);
  const lens = lensOf(plate);
  const project = (x, y) => {
    const w = h[6] * x + h[7] * y + h[8];
    // Its sign before the camera is that of the middle of the picture's lower edge.
    return w * side > 1e-9 ? lens.bent((h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w) : null;
  };
  const raw = (bentU, bentV) => {
    const [u, v] = lens.straight(bentU, bentV);
    const w = inverse[6] * u + inverse[7] * v + inverse[8];
    return [(inverse[0] * u + inverse[1] * v + inverse[2]) / w, (inverse[3] * u + inverse[4] * v + inverse[5]) / w];
  };
  const [bx, by] = raw(plate.image_size[0] / 2, plate.image_size[1]);
  const side = Math.sign(h[6] * bx + h[7] * by + h[8]) || 1;
  const unproject = (u, v) => {
    const [x, y] = raw(u, v);
    return project(x, y) ? [x, y] : null;
  };
  const scale = (x, y) => {
    const step = 0.05;
    const [a, b] = [project(x + step, y), project(x - step, y)];
    const [c, d] = [project(x, y + step), project(x, y - step)];
    if (!a || !b || !c || !d) return null;
    const j = [a[0] - b[0], c[0] - d[0], a[1] - b[1], c[1] - d[1]].map((each) => each / (2 * step));
    // Singular values of the 2 x 2 derivative: across the line of sight, and along it.
    const sum = Math.hypot(j[0] + j[3], j[2] - j[1]);
    const difference = Math.hypot(j[0] - j[3], j[2] + j[1]);
    const [across, along] = [(sum + difference) / 2, Math.abs(sum - difference) / 2];
    // Seen at this angle, what lies flat shrinks by its sine and what stands by its cosine.
    const flat = Math.min(along / across, 1);
    return { across, up: across * Math.sqrt(Math.max(1 - flat * flat, 0.04)) };
  };
  return { project, unproject, scale };
}

/** The bend of the lens after the ground plane (calibration/lens.py): straight pixels to those of the image. */
export function lensOf({ image_size: [width, height], bend = 0 }) {
  const [cx, cy] = [width / 2, height / 2];
  const share = (u, v) => ((u - cx) ** 2 + (v - cy) ** 2) / (cx * cx + cy * cy);
  const scaled = (u, v, factor) => [cx + (u - cx) * factor, cy + (v - cy) * factor];
  return {
    bent(u, v) {
      const under = 1 - 4 * bend * share(u, v);
      return under < 0 ? null : scaled(u, v, 2 / (1 + Math.sqrt(under)));
    },
    straight: (u, v) => scaled(u, v, 1 / (1 + bend * share(u, v))),
  };
}

export function inverted([a, b, c, d, e, f, g, h, i]) {
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ];
}
