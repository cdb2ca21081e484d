// What the page asks of the server, and what it tells the person.

const $ = (id) => document.getElementById(id);

export async function get(address) {
  return answered(await fetch(address));
}

export async function post(address, body) {
  return answered(await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
}

async function answered(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const problems = body.problems ?? [body.detail ? JSON.stringify(body.detail) : `the server answered ${answer.status}`];
  throw Object.assign(new Error(problems.join("; ")), { problems, changed: body.changed ?? false });
}

/** Show a message over the page, or take it away; one of each name. */
export function banner(name, text, { kind = "note", lines = [], actions = [], passing = false } = {}) {
  $("banners").querySelector(`[data-name="${name}"]`)?.remove();
  if (text === null) return;
  const place = document.createElement("div");
  place.className = `banner ${kind}`;
  place.dataset.name = name;
  place.setAttribute("role", kind === "bad" ? "alert" : "status");
  const say = document.createElement("span");
  say.textContent = text;
  place.append(say);
  if (lines.length) {
    const list = document.createElement("ul");
    list.append(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    place.append(list);
  }
  for (const [word, act] of [...actions, ["Close", () => place.remove()]]) {
    const button = Object.assign(document.createElement("button"), { textContent: word, className: "quiet" });
    button.addEventListener("click", act);
    place.append(button);
  }
  $("banners").append(place);
  if (passing) setTimeout(() => place.remove(), 8000);
}
