// The way from a new camera to a site file, step by step: what is done, what comes next, and a click that leads there.

const ENOUGH_PAIRS = 8;

/** The steps of a draft: each with its word, what is still to do (null: done), and what leads to it. */
export function steps(editor) {
  const { document: site, fit } = editor;
  const pairs = fit?.points?.filter((each) => each && each.suspect_px == null && !each.held_out).length ?? 0;
  const bad = fit?.points?.filter((each) => each?.suspect_px != null).length ?? 0;
  const signalised = [...site.stop_lines, ...site.crosswalks];
  const nameless = site.stop_lines.filter((each) => !each.signal_group).length;
  const off = fit?.lengths?.some((each, index) => each?.measured_m != null && Math.abs(each.measured_m - site.ground_plane.lengths[index]?.length_m) > 0.05 * site.ground_plane.lengths[index]?.length_m);
  return [
    {
      word: "Point pairs", tool: "point", tab: "points",
      todo: bad ? `${bad} pair${bad > 1 ? "s do" : " does"} not fit the others: correct or delete it.`
        : pairs >= ENOUGH_PAIRS ? null : `Set ${ENOUGH_PAIRS - pairs} more: a mark on the road, and its place in metres. Spread them over the road.`,
      count: pairs < ENOUGH_PAIRS ? `${pairs}/${ENOUGH_PAIRS}` : "",
    },
    { word: "Burned-in text", tool: null, tab: "site", todo: site.ground_plane.osd === null ? "Does the camera write into its picture? Draw the rectangle, or say that it does not." : null },
    { word: "Roadway", tool: "roadways", tab: "places", todo: site.roadways.length ? null : "Draw the carriageway from kerb to kerb: on it a pedestrian is on the road." },
    { word: "Crosswalks, stop lines", tool: site.crosswalks.length ? "stop_lines" : "crosswalks", tab: "places", todo: signalised.length ? null : "Draw the crosswalks and the stop lines with their direction of travel." },
    { word: "Signal groups", tool: null, tab: "places", todo: signalised.length && !nameless ? null : nameless ? `${nameless} stop line${nameless > 1 ? "s have" : " has"} no signal group: entries there are counted, never judged.` : "Name the signal group of each stop line and crosswalk." },
    { word: "Known length", tool: "lengths", tab: "checks", todo: off ? "A known length is off by more than a twentieth: look at the pairs near it." : site.ground_plane.lengths.length ? null : "Measure something whose length you know, such as a lane: do the metres agree?" },
    { word: "Name", tool: null, tab: "site", todo: site.site.id ? null : "Give the site a short name such as main-5th." },
    { word: "Save", tool: null, tab: null, todo: editor.draft.unsaved ? (fit?.mistakes?.length ? `Mend what is wrong first: ${fit.mistakes.length} under Checks.` : "Write the site file.") : null },
  ];
}

/** Show the steps in a place, the next one marked. */
export function showSteps(editor, place) {
  const all = steps(editor);
  const next = all.findIndex((step) => step.todo);
  const items = all.map((step, index) => {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", title: step.todo ?? "done" });
    const mark = Object.assign(document.createElement("span"), { className: "mark", textContent: step.todo ? `${index + 1}` : "✓" });
    mark.setAttribute("aria-hidden", "true");
    button.append(mark, Object.assign(document.createElement("span"), { className: "word", textContent: step.word }));
    if (step.count) button.append(Object.assign(document.createElement("span"), { className: "count", textContent: step.count }));
    button.append(Object.assign(document.createElement("span"), { className: "hidden", textContent: step.todo ? ": to do" : ": done" }));
    button.className = step.todo ? "todo" : "done";
    if (index === next) button.setAttribute("aria-current", "step");
    button.addEventListener("click", () => {
      if (step.tab) editor.panel.show(step.tab);
      else editor.save();
      if (step.tool) editor.use(step.tool);
    });
    item.append(button);
    return item;
  });
  const focused = [...place.querySelectorAll("button")].indexOf(document.activeElement);
  place.querySelector("ol").replaceChildren(...items);
  if (focused >= 0) items[focused]?.querySelector("button").focus();
  place.querySelector(".next").textContent = next < 0 ? "All done. Run nearmiss check and nearmiss analyze with it." : all[next].todo;
}
