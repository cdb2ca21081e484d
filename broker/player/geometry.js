/** Points and numbers of the plane. */

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const lerp = (a, b, share) => [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
export const flipped = ([x, y]) => [x, -y];

export function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (row) => {
    const chain = [];
    for (const point of row) {
      while (chain.length > 1 && turn(chain[chain.length - 2], chain[chain.length - 1], point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}
