/** The bar that moves in time: play, step, scrub, loop, speed. */

import { draw, make } from "./svg.js";
import { number, say, seconds } from "./words.js";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

export function controls(start, end) {
  const element = make("div", { class: "nm-controls" });
  const button = (action, label, drawing) => {
    const key = make("button", { type: "button", "data-action": action, "aria-label": label, title: label });
    const icon = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
    icon.append(draw("path", { d: drawing }));
    key.append(icon);
    element.append(key);
    return key;
  };
  const PLAY = "M7 4v16l13-8z";
  const PAUSE = "M6 4h4v16H6zM14 4h4v16h-4z";
  const play = button("toggle", say("Play"), PLAY);
  button("back", say("Back a tenth of a second"), "M17 5v14l-9-7zM6 5h2v14H6z");
  button("forward", say("On by a tenth of a second"), "M7 5v14l9-7zM16 5h2v14h-2z");
  const scrub = make("input", { type: "range", min: start, max: end, step: 0.1, "aria-label": say("Time, seconds from the event") });
  const clock = make("output", { class: "nm-clock" });
  const track = make("div", { class: "nm-track" });
  const instant = make("button", { type: "button", class: "nm-instant", "data-action": "event", title: say("To the instant of the event") });
  instant.textContent = say("event");
  const loop = make("button", { type: "button", class: "nm-loop", "data-action": "loop", "aria-pressed": "false", title: say("Loop two seconds either side of the event") });
  loop.textContent = say("loop ±2 s");
  const speed = make("select", { "aria-label": say("Speed") });
  for (const each of SPEEDS) {
    const option = make("option", { value: each });
    option.textContent = say("{n}×", { n: number(each, String(each).slice(2).length) });
    speed.append(option);
  }
  track.append(scrub);
  const tick = make("span", { class: "nm-tick", "aria-hidden": "true" });
  // Through the object model, which a policy without inline styles allows; 16 px is the thumb's width.
  const share = end > start ? (0 - start) / (end - start) : 0;
  tick.style.left = `calc(8px + ${share} * (100% - 16px))`;
  track.append(tick);
  element.append(track, clock, instant, loop, speed);
  return {
    element,
    connect(actions) {
      element.addEventListener("click", (click) => {
        const key = click.target.closest("button[data-action]");
        if (key) actions[key.dataset.action]();
      });
      scrub.addEventListener("input", () => actions.seek(Number(scrub.value)));
      speed.addEventListener("change", () => actions.speed(Number(speed.value)));
    },
    show(state) {
      const words = seconds(state.time);
      clock.textContent = words;
      scrub.value = state.time;
      scrub.setAttribute("aria-valuetext", words);
      speed.value = state.speed;
      const label = state.playing ? say("Pause") : say("Play");
      play.setAttribute("aria-label", label);
      play.title = label;
      play.firstChild.firstChild.setAttribute("d", state.playing ? PAUSE : PLAY);
      loop.setAttribute("aria-pressed", String(state.loop));
    },
  };
}
