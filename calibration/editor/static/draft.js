// The draft: the tables of a site file while they are edited, every step of it undone and redone, kept over a reload.

const MOST_STEPS = 200;

export class Draft {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.key = `nearmiss-calibrate:${state.key}`;
    this.digest = state.digest;
    this.onDisk = JSON.stringify(ordered(state.document));
    this.document = blank(state.document, state.image_size);
    this.aerial = null;
    this.past = [];
    this.future = [];
    this.broughtBack = null;
    this.restore();
  }

  get unsaved() {
    return JSON.stringify(ordered(trimmed(this.document))) !== this.onDisk;
  }

  /** Change the draft by one step. */
  edit(change) {
    const before = structuredClone(this.document);
    change(this.document);
    if (JSON.stringify(before) === JSON.stringify(this.document)) return;
    this.push(before);
  }

  /** Take a step that was made bit by bit, as by dragging; ``before`` is the document as it was. */
  push(before) {
    this.past.push(before);
    if (this.past.length > MOST_STEPS) this.past.shift();
    this.future = [];
    this.keep();
    this.changed();
  }

  undo() { this.step(this.past, this.future); }
  redo() { this.step(this.future, this.past); }

  step(from, to) {
    if (!from.length) return;
    to.push(this.document);
    this.document = from.pop();
    this.keep();
    this.changed();
  }

  saved(digest, sent) {
    this.digest = digest;
    this.onDisk = JSON.stringify(ordered(sent));
    this.keep();
  }

  discard() {
    localStorage.removeItem(this.key);
    this.past.push(this.document);
    this.future = [];
    this.document = blank(this.state.document, this.state.image_size);
    this.broughtBack = null;
    this.keep();
    this.changed();
  }

  keep() {
    const draft = { document: this.document, aerial: this.aerial, digest: this.digest, at: Date.now(), unsaved: this.unsaved };
    try {
      localStorage.setItem(this.key, JSON.stringify(draft));
      this.unkept = false;
    } catch {
      this.unkept = true;
    }
  }

  restore() {
    let draft = null;
    try {
      draft = JSON.parse(localStorage.getItem(this.key) ?? "null");
    } catch {
      draft = null;
    }
    if (!draft || !draft.document) return;
    this.aerial = draft.aerial ?? null;
    if (!draft.unsaved) return;
    this.past.push(this.document);
    this.document = blank(draft.document, this.state.image_size);
    if (this.unsaved) this.broughtBack = { at: draft.at, stale: draft.digest !== this.digest };
    else this.past.pop();
  }
}

function blank(document, imageSize) {
  const draft = structuredClone(document ?? {});
  draft.site ??= { id: "", name: "", timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", drive_on: "right" };
  for (const table of ["stop_lines", "crosswalks", "roadways", "boxes", "signal_heads"]) draft[table] ??= [];
  draft.ground_plane ??= { image_size: imageSize, osd: null, points: [] };
  const set = draft.ground_plane.points?.length || draft.ground_plane.lengths?.length || draft.signal_heads.length;
  if (!set) draft.ground_plane.image_size = imageSize;
  draft.ground_plane.image_size ??= imageSize;
  draft.ground_plane.points ??= [];
  draft.ground_plane.lengths ??= [];
  draft.ground_plane.osd ??= null;
  return draft;
}

/** The draft as it goes into the file: without empty tables and answers that were not given. */
export function trimmed(document) {
  const whole = structuredClone(document);
  for (const [name, table] of Object.entries(whole)) if (Array.isArray(table) && !table.length) delete whole[name];
  const ground = whole.ground_plane;
  if (ground) {
    if (!ground.lengths?.length) delete ground.lengths;
    if (ground.osd === null) delete ground.osd;
    if (!ground.points.length && ground.osd === undefined && !ground.lengths) delete whole.ground_plane;
  }
  for (const place of [...(whole.stop_lines ?? []), ...(whole.crosswalks ?? []), ...(whole.roadways ?? [])])
    for (const name of ["signal_group", "id"]) if (place[name] === "") delete place[name];
  return whole;
}

function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])]));
}
