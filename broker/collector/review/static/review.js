// The review page's keys, and the player put where the drawing belongs.

import { say } from "./speaking.js";

const KEYS = {
  c: "button[value=confirm]",
  n: "#next, table.queue tbody a",
  z: "#undo",
  "?": "#help",
};
const WHY = { r: "reject", u: "unclear" };

// A key pressed while a decision is on its way would call it back: the next page takes keys again.
let leaving = false;
addEventListener("submit", (sent) => (leaving = sent.target.method !== "dialog"));
addEventListener("pageshow", () => (leaving = false));

document.addEventListener("keydown", (press) => {
  const typing = press.target.closest("input:not([type=range]), select, textarea, [contenteditable]");
  if (leaving || typing || press.ctrlKey || press.metaKey || press.altKey || press.repeat) return;
  const dialog = document.querySelector("dialog[open]");
  if (dialog) {
    if (press.key === "?") dialog.close();
    return;
  }
  const target = wanted(press.key);
  if (!target) return;
  press.preventDefault();
  press.stopPropagation();
  if (target === true) return;
  target.click();
}, true);

/** What a key clicks; true where it has been seen to already. */
function wanted(key) {
  const open = document.querySelector(".why[open]");
  if (open) {
    const reasons = [...open.querySelectorAll(".reasons button")];
    if (/^[1-9]$/.test(key)) return reasons[key - 1] && key <= reasons.length - 1 ? reasons[key - 1] : true;
    if (key === "Escape") {
      open.open = false;
      open.querySelector("summary").focus();
      return true;
    }
    if (WHY[key] && open.classList.contains(WHY[key])) return reasons.at(-1);
  }
  if (WHY[key]) {
    const why = document.querySelector(`.why.${WHY[key]}`);
    if (!why) return null;
    why.open = true;
    why.querySelector(".reasons button").focus();
    return true;
  }
  if (key === "k" && document.querySelector(".nm-player")) {
    if (document.activeElement?.closest(".nm-player")) return null; // the player hears it itself
    return document.querySelector(".nm-player [data-action=toggle]");
  }
  return KEYS[key] ? document.querySelector(KEYS[key]) : null;
}

document.getElementById("help")?.addEventListener("click", () => document.getElementById("keys").showModal());

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
  // The page itself shows the measures, beside the decision.
  player.mount(place, { event: records[0], clip: records[1], plate: records[2] });
}

const place = document.getElementById("player");
if (place) {
  show(place).catch((error) => {
    const note = document.createElement("p");
    note.className = "empty";
    note.textContent = say("The drawing cannot be shown: {why}", { why: error.message });
    place.replaceChildren(note);
  });
}
