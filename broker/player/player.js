/**
 * Plays a scene clip: a drawing list over a plate, in the camera's view and from above, at any speed and instant.
 *
 *     import { mount } from "./player.js";
 *     const player = mount(element, { clip, plate, event });
 *     player.seek(-1.5); player.play(); player.destroy();
 *
 * `clip`, `plate` and `event` are the records of broker/wire.py as JSON. Nothing is loaded, no style attribute
 * is written into HTML and nothing is evaluated: it runs under `default-src 'self'` and from a file on disk.
 * Sizes of shapes come from the class and the ground's scale at their place, never from a box.
 */

import { SPEEDS, controls } from "./controls.js";
import { clamp } from "./geometry.js";
import { lampPanel, legend } from "./panels.js";
import { make } from "./svg.js";
import { cameraView, planView } from "./views.js";
import { describe, say } from "./words.js";

/**
 * Draws a clip into an element.
 *
 * @param {HTMLElement} element emptied and filled.
 * @param {{clip: object, plate: object|null, event: object|null}} records the event names the drawing for those
 *   who do not see it; its numbers are the page's.
 * @returns {{play(): void, pause(): void, seek(seconds: number): void, readonly time: number, destroy(): void}}
 */
export function mount(element, { clip, plate = null, event = null }) {
  const start = clip.start_s;
  const end = start + (clip.steps - 1) * clip.step_s;
  const state = { time: clamp(0, start, end), playing: false, speed: 1, loop: false, frame: 0, before: 0 };
  const player = make("div", {
    class: "nm-player",
    tabindex: "0",
    role: "group",
    "aria-label": say("Scene clip: {what}. Space plays, arrow keys step a tenth of a second.", { what: describe(clip, event) }),
  });
  const views = [cameraView(clip, plate), planView(clip, plate)].filter(Boolean);
  const holder = make("div", { class: `nm-views nm-${views.length}` });
  views.forEach((view) => holder.append(view.figure));
  const lamps = lampPanel(clip, plate);
  const bar = controls(start, end);
  player.append(holder, bar.element);
  const foot = make("div", { class: "nm-foot" });
  if (lamps) foot.append(lamps.element);
  foot.append(legend(clip));
  player.append(foot);
  element.replaceChildren(player);

  const draw = () => {
    const step = clamp((state.time - start) / clip.step_s, 0, clip.steps - 1);
    const blank = clip.blanks.some(([from, to]) => from <= Math.round(step) && Math.round(step) < to);
    for (const view of views) view.draw(step, state.time, blank);
    if (lamps) lamps.draw(state.time);
    bar.show(state);
  };
  const pause = () => {
    state.playing = false;
    cancelAnimationFrame(state.frame);
    draw();
  };
  const seek = (time) => {
    state.time = clamp(time, start, end);
    draw();
  };
  const tick = (now) => {
    if (!state.playing) return;
    const [from, to] = state.loop ? [Math.max(start, -2), Math.min(end, 2)] : [start, end];
    state.time += Math.min((now - state.before) / 1000, 0.25) * state.speed;
    state.before = now;
    if (state.loop && (state.time > to || state.time < from)) state.time = from;
    if (!state.loop && state.time >= to) {
      state.time = to;
      pause();
      return;
    }
    draw();
    state.frame = requestAnimationFrame(tick);
  };
  const play = () => {
    if (state.playing) return;
    if (!state.loop && state.time >= end - 1e-6) state.time = start;
    state.playing = true;
    state.before = performance.now();
    state.frame = requestAnimationFrame(tick);
    draw();
  };
  const nudge = (seconds) => {
    pause();
    seek(Math.round((state.time + seconds) * 10) / 10);
  };
  const faster = (by) => {
    const place = SPEEDS.indexOf(state.speed);
    state.speed = SPEEDS[clamp(place + by, 0, SPEEDS.length - 1)];
    draw();
  };
  const toggle = () => (state.playing ? pause() : play());
  const actions = {
    toggle,
    back: () => nudge(-0.1),
    forward: () => nudge(0.1),
    event: () => {
      pause();
      seek(0);
    },
    loop: () => {
      state.loop = !state.loop;
      draw();
    },
    seek: (time) => {
      pause();
      seek(time);
    },
    speed: (speed) => {
      state.speed = speed;
      draw();
    },
  };
  bar.connect(actions);
  player.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || press.target.tagName === "SELECT") return;
    const onButton = press.target.tagName === "BUTTON" && (press.key === " " || press.key === "Enter");
    const keys = {
      " ": toggle,
      k: toggle,
      ArrowLeft: () => nudge(press.shiftKey ? -1 : -0.1),
      ArrowRight: () => nudge(press.shiftKey ? 1 : 0.1),
      Home: () => actions.seek(start),
      End: () => actions.seek(end),
      0: actions.event,
      l: actions.loop,
      "+": () => faster(1),
      "-": () => faster(-1),
    };
    if (onButton || !keys[press.key]) return;
    press.preventDefault();
    keys[press.key]();
  });
  draw();
  return {
    play,
    pause,
    seek,
    get time() {
      return state.time;
    },
    destroy() {
      state.playing = false;
      cancelAnimationFrame(state.frame);
      element.replaceChildren();
    },
  };
}
