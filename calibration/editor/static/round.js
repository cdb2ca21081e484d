// How finely numbers are kept: a millimetre on the ground, a hundredth of a pixel in the image.

export const round = (value, digits) => Number(value.toFixed(digits));
export const metres = ([x, y]) => [round(x, 3), round(y, 3)];
export const pixels = ([u, v]) => [round(u, 2), round(v, 2)];
