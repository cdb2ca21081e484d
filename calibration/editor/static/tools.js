// The tools: what each is for, and what it says while it is in hand.

const drawing = (what) => (editor) =>
  editor.pointer.sketch
    ? `${what}: click its next corner. Enter or a click on the first corner closes it, Backspace takes one back, Esc gives up.`
    : editor.projection
      ? `${what}: click its corners one after the other, in the camera picture or on the plan.`
      : `${what}: click its corners on the plan; in the camera picture once four point pairs are set.`;

export const TOOLS = {
  select: { key: "v", name: "Select", icon: "➤", hint: () => "Click a point or a place to see it; drag to move it. Drag the ground to pan, wheel to zoom. Arrows move a point by half a pixel." },
  point: {
    key: "p", name: "Point pair", icon: "✚",
    hint: (editor) =>
      editor.pending === null
        ? "Click a mark on the road in the camera picture: the end of a stripe, the corner of a stop line. Zoom in first."
        : editor.rows("points")[editor.pending]?.px
          ? "Now click the same mark on the plan, or type its metres."
          : "Now click the same mark in the camera picture.",
  },
  stop_lines: {
    key: "l", name: "Stop line", icon: "━",
    hint: (editor) =>
      editor.pointer.sketch?.points.length === 2
        ? "Now click on the side the traffic goes to: the arrow is the direction of travel."
        : "Stop line: click its two ends.",
  },
  crosswalks: { key: "c", name: "Crosswalk", icon: "▤", hint: drawing("Crosswalk") },
  roadways: { key: "r", name: "Roadway", icon: "⬡", hint: drawing("Roadway (kerb to kerb)") },
  boxes: { key: "b", name: "Box to keep clear", icon: "⊠", hint: drawing("Box") },
  signal_heads: { key: "h", name: "Signal head", icon: "◉", hint: () => "Signal head: drag a rectangle round its lamps in the camera picture." },
  osd: { key: "o", name: "Burned-in text", icon: "T", hint: () => "Burned-in text: drag a rectangle round it in the camera picture. It is filled in every plate." },
  lengths: { key: "m", name: "Known length", icon: "↔", hint: () => "Known length: click its two ends in the camera picture, then type what it measures on the road." },
  aerial: { key: "a", name: "Lay the plan picture", icon: "▦", hint: (editor) => (editor.aerial ? "Click two known points on the plan picture, then type their metres." : "No plan picture: give one with --aerial.") },
};

/** What is drawn as an outline on the ground, and how such a place is named until somebody names it. */
export const NAMES = { stop_lines: "stop", crosswalks: "crosswalk", roadways: "road", boxes: "box" };

export function groups(document) {
  const named = [...document.stop_lines, ...document.crosswalks, ...document.signal_heads].map((each) => each.signal_group);
  return [...new Set(named.filter(Boolean))].sort();
}

export function freeName(editor, stem) {
  const taken = new Set(Object.keys(NAMES).flatMap((table) => editor.rows(table).map((each) => each.id)));
  for (let number = 1; ; number++) if (!taken.has(`${stem}-${number}`)) return `${stem}-${number}`;
}
