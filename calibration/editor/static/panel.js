// The panel beside the pictures: one sheet a tab.

import { button, h } from "./fields.js";
import { checks } from "./sheet_checks.js";
import { places } from "./sheet_places.js";
import { points } from "./sheet_points.js";
import { site } from "./sheet_site.js";
import { TOOLS } from "./tools.js";

const TABS = { points: "Points", places: "Places", checks: "Checks", site: "Site" };
const SHEETS = { points, places, checks, site };
const OF_TABLE = { points: "points", lengths: "checks", osd: "site", aerial: "site" };

export class Panel {
  constructor(editor, tabs, sheet) {
    this.editor = editor;
    this.tabs = tabs;
    this.sheet = sheet;
    this.tab = "points";
    this.playing = false;
    for (const [name, word] of Object.entries(TABS)) {
      const tab = h("button", { role: "tab", "data-tab": name, "aria-controls": "sheet" }, word);
      tab.addEventListener("click", () => this.show(name));
      tabs.append(tab);
    }
  }

  show(name) {
    this.tab = name;
    this.render();
  }

  reveal({ table }) {
    this.tab = OF_TABLE[table] ?? "places";
  }

  /** Put the cursor into a field once it is there. */
  ask(key) { this.wanted = key; }

  /** Draw the sheet anew after this turn: a field that was just left has its successor in focus by then. */
  render() {
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      const active = document.activeElement;
      const key = this.wanted ?? (this.sheet.contains(active) ? active.dataset.key : null);
      // A field that is being typed in is left alone: its own change draws the sheet again.
      if (!this.wanted && active?.matches?.("input") && this.sheet.contains(active) && active.value !== active.defaultValue) return;
      const top = this.sheet.scrollTop;
      for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.tab === this.tab));
      const mistakes = this.editor.fit ? this.editor.fit.mistakes.length : 0;
      this.tabs.querySelector("[data-tab=checks]").textContent = mistakes ? `Checks (${mistakes})` : "Checks";
      this.sheet.replaceChildren(...SHEETS[this.tab](this));
      this.sheet.scrollTop = top;
      const field = key && this.sheet.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (field) {
        field.focus({ preventScroll: !this.wanted });
        field.select?.();
      }
      if (this.wanted && field) this.wanted = null;
      const chosen = this.sheet.querySelector(".chosen");
      if (chosen) chosen.scrollIntoView({ block: "nearest" });
    });
  }

  toggle(layer) {
    this.editor.shown[layer] = !this.editor.shown[layer];
    for (const box of document.querySelectorAll(`[data-layer="${layer}"]`)) box.checked = this.editor.shown[layer];
    this.editor.draw();
  }

  switches(camera, plan) {
    const box = (layer, word) => h("label", {}, h("input", { type: "checkbox", "data-layer": layer, checked: this.editor.shown[layer], onchange: () => this.toggle(layer) }), word);
    camera.append(box("grid", "grid"), box("sigma", "errors"), box("places", "places"), box("points", "points"), button("Whole", () => this.whole(), { class: "quiet small", title: "Show all of it (0)" }));
    plan.append(box("warped", "camera from above"), ...(this.editor.aerial ? [box("aerial", "plan picture")] : []), ...(this.editor.tracks ? [box("tracks", "tracks")] : []));
  }

  whole() {
    const { editor } = this;
    editor.camera.show([0, 0], editor.state.image_size);
    const [x0, y0, x1, y1] = editor.layers.drawn();
    editor.plan.show([x0 - 5, y1 + 5], [x1 + 5, y0 - 5]);
  }

  help(dialog) {
    const rows = [...Object.values(TOOLS).map((tool) => [tool.key.toUpperCase(), tool.name]), ["Enter", "close what is drawn"], ["Esc", "give up, then Select"], ["Backspace", "take a corner back"], ["Delete", "delete what is chosen"], ["arrows", "move the chosen point by 0.5 px (Shift: 0.1)"], ["G", "grid on the ground"], ["E", "map of errors"], ["+ − 0", "zoom, whole picture"], ["Ctrl+Z", "undo (Shift: redo)"], ["Ctrl+S", "save"]];
    dialog.replaceChildren(h("h2", {}, "Keys"), h("dl", {}, ...rows.flatMap(([key, word]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, word)])), button("Close", () => dialog.close()));
    dialog.showModal();
  }
}
