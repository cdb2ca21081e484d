
// The page's own part: mount a player when its clip comes near the screen, and all of them before printing.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const plate = document.getElementById("plate-json") ? read("plate-json") : null;
const show = (holder) => {
  if (holder.dataset.mounted) return;
  holder.dataset.mounted = "yes";
  mount(holder, {
    clip: read(`clip-${holder.dataset.clip}`),
    plate,
    event: read(`event-${holder.dataset.event}-json`),
  });
};
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => show(entry.target)),
  { rootMargin: "600px" },
);
document.querySelectorAll(".clip").forEach((holder) => near.observe(holder));
window.addEventListener("beforeprint", () => document.querySelectorAll(".clip").forEach(show));
