// Elements, and the fields one types into.

/** An element; names that begin with "on" are listeners, everything else is a property or an attribute. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "checked") element.checked = value;
    else if (name === "value") element.value = element.defaultValue = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((each) => each !== ""));
  return element;
}

export const button = (word, act, properties = {}) => h("button", { type: "button", onclick: act, ...properties }, word);
export const field = (word, input) => h("label", { class: "field" }, h("span", {}, word), input);
export const figure = (value, word, good) => h("div", { class: good === undefined ? "figure" : good ? "figure good" : "figure wrong" }, h("strong", {}, value), h("span", {}, word));

export function number(key, value, put, { label, enter, empty = false }) {
  const input = h("input", { type: "text", inputmode: "decimal", "data-key": key, "aria-label": label, value: value ?? "", size: 6, autocomplete: "off" });
  input.addEventListener("change", () => {
    const typed = input.value.trim().replace(",", ".").replace("−", "-");
    const wrong = typed === "" ? !empty : !/^[+-]?(\d+\.?\d*|\.\d+)$/.test(typed);
    input.toggleAttribute("aria-invalid", wrong);
    input.title = wrong ? "A number is expected, such as 12.5" : "";
    if (wrong) return;
    input.defaultValue = input.value;
    put(typed === "" ? null : Number(typed));
  });
  input.addEventListener("keydown", (press) => {
    if (press.key === "Enter") input.blur(), enter?.();
    if (press.key === "Escape") (input.value = input.defaultValue), input.blur();
  });
  return input;
}

export function text(key, value, put, properties) {
  const input = h("input", { type: "text", "data-key": key, value: value ?? "", autocomplete: "off", ...properties });
  input.addEventListener("change", () => {
    input.defaultValue = input.value;
    put(input.value.trim());
  });
  input.addEventListener("keydown", (press) => { if (press.key === "Enter" || press.key === "Escape") input.blur(); });
  return input;
}

export function select(key, value, options, put) {
  return h("select", { "data-key": key, onchange: (event) => put(event.target.value) }, ...options.map((each) => { const option = h("option", {}, each); option.selected = each === value; return option; }));
}
