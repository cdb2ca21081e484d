// The review page's keys, and the player put where the drawing belongs.

const KEYS = {
  c: "button[value=confirm]",
  r: "button[value=reject]",
  u: "button[value=unclear]",
  n: "#next, table.queue tbody a",
  z: "#undo",
};

// A key pressed while a decision is on its way would call it back: the next page takes keys again.
let leaving = false;
addEventListener("submit", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));

document.addEventListener("keydown", (press) => {
  const typing = press.target.closest("input, select, textarea, [contenteditable]");
  if (leaving || typing || press.ctrlKey || press.metaKey || press.altKey || press.repeat) return;
  const wanted = KEYS[press.key];
  const target = wanted && document.querySelector(wanted);
  if (!target) return;
  press.preventDefault();
  target.click();
});

async function json(address) {
  if (!address) return null;
  const answer = await fetch(address);
  if (!answer.ok) return null;
  return answer.json();
}

async function show(place) {
  const { event, clip, plate } = place.dataset;
  const [player, ...records] = await Promise.all([
    import("/player/player.js"),
    json(event),
    json(clip),
    json(plate),
  ]);
  place.replaceChildren();
  player.mount(place, { event: records[0], clip: records[1], plate: records[2] });
}

const place = document.getElementById("player");
if (place) {
  show(place).catch((error) => {
    const note = document.createElement("p");
    note.className = "empty";
    note.textContent = `The drawing cannot be shown: ${error.message}`;
    place.replaceChildren(note);
  });
}
