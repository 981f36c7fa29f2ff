// The list of photographs: each is sent to v1/restore, one at a time; what the server says is shown as it says it.

import { Viewer } from "./viewer.js";

const byId = (id) => document.getElementById(id);
const viewer = new Viewer(byId);
const list = byId("list");
const waiting = [];
let key = "";
let busy = false;
let shown = null;

class Photograph {
  constructor(file) {
    this.file = file;
    this.before = URL.createObjectURL(file);
    this.item = list.appendChild(document.createElement("li"));
    this.pick = this.#button(file.name, () => show(this));
    this.pick.className = "pick";
    this.state = this.item.appendChild(document.createElement("span"));
    this.remove = this.#button("Remove", () => remove(this));
    this.remove.ariaLabel = `Remove ${file.name}`;
  }

  #button(text, act) {
    const button = this.item.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = text;
    button.onclick = act;
    return button;
  }

  // Say how it is; `wrong` is read out at once by a screen reader.
  tell(text, wrong = false) {
    this.state.className = wrong ? "state wrong" : "state";
    this.state.setAttribute("role", wrong ? "alert" : "status");
    this.state.textContent = text;
    this.pick.disabled = !this.after;
  }
}

function add(files) {
  for (const file of files) enqueue(new Photograph(file));
}

function enqueue(photograph) {
  if (waiting.includes(photograph)) return;
  photograph.strength = byId("auto").checked ? "auto" : String(byId("strength").value / 100);
  photograph.tell("waits");
  waiting.push(photograph);
  work();
}

async function work() {
  if (busy || !byId("door").hidden) return;
  busy = true;
  while (waiting.length && byId("door").hidden) {
    const photograph = waiting.shift();
    const start = performance.now();
    const ticking = setInterval(() => {
      photograph.tell(`is restored … ${Math.round((performance.now() - start) / 1000)} s`);
    }, 1000);
    photograph.tell("is restored …");
    photograph.stop = new AbortController();
    try {
      await restore(photograph);
    } catch (error) {
      if (error.name !== "AbortError") photograph.tell("the server does not answer; try again", true);
    } finally {
      clearInterval(ticking);
    }
  }
  busy = false;
}

async function restore(photograph) {
  const answer = await fetch(`v1/restore?strength=${photograph.strength}`, {
    method: "POST",
    body: photograph.file,
    headers: key ? { "X-API-Key": key } : {},
    signal: photograph.stop.signal,
  });
  if (answer.status === 401) {
    photograph.tell(key ? "the server does not know this key" : "waits for the API key", Boolean(key));
    waiting.unshift(photograph);
    ask();
  } else if (answer.status === 429) {
    const seconds = Number(answer.headers.get("retry-after")) || 1;
    photograph.tell(`the server is busy; tried again in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!photograph.stop.signal.aborted) waiting.unshift(photograph);
  } else if (!answer.ok) {
    photograph.tell(await lineOf(answer), true);
  } else {
    await keep(photograph, answer);
  }
}

async function lineOf(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `the server answers ${answer.status}`;
  }
}

async function keep(photograph, answer) {
  const blob = await answer.blob();
  if (photograph.after) URL.revokeObjectURL(photograph.after);
  photograph.after = URL.createObjectURL(blob);
  const stem = photograph.file.name.replace(/\.[^.]*$/, "");
  photograph.target = `${stem}-restored.${blob.type.split("/")[1].replace("jpeg", "jpg")}`;
  photograph.notes = JSON.parse(answer.headers.get("x-unblur-notes"));
  photograph.by = ["model", "version", "sha256", "milliseconds"].map((name) => answer.headers.get(`x-unblur-${name}`));
  photograph.tell(["restored", ...photograph.notes].join("; "));
  if (photograph === shown || !shown) show(photograph);
}

function show(photograph) {
  shown = photograph;
  for (const button of list.querySelectorAll(".pick")) button.ariaCurrent = String(button === photograph.pick);
  const [model, version, sha256, milliseconds] = photograph.by;
  byId("shown").hidden = false;
  byId("name").textContent = photograph.file.name;
  byId("by").textContent = `${called(model, version, sha256)} · ${(milliseconds / 1000).toFixed(1)} s · ${strengthOf(photograph)}`;
  Object.assign(byId("download"), { href: photograph.after, download: photograph.target });
  tellNotes(photograph.notes);
  byId("after").onerror = () => tellNotes([...photograph.notes, "this browser cannot show the format; download it"]);
  viewer.show(photograph.before, photograph.after);
}

function tellNotes(notes) {
  byId("notes").replaceChildren(
    ...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
}

function remove(photograph) {
  photograph.stop?.abort();
  const at = waiting.indexOf(photograph);
  if (at >= 0) waiting.splice(at, 1);
  for (const url of [photograph.before, photograph.after]) if (url) URL.revokeObjectURL(url);
  photograph.item.remove();
  if (photograph !== shown) return;
  shown = null;
  byId("shown").hidden = true;
}

const called = (model, version, sha256) =>
  `${model}${version ? ` version ${version}` : ""} · SHA-256 ${sha256.slice(0, 12)}…`;
const strengthOf = ({ strength }) =>
  strength === "auto" ? "sharp parts left alone" : `strength ${Math.round(strength * 100)} %`;

function ask() {
  byId("door").hidden = false;
  byId("key").focus();
}

async function tellModel() {
  const ready = await (await fetch("readyz")).json();
  byId("model").textContent = called(ready.model, ready.version, ready.sha256);
  byId("model").title = ready.sha256;
}

byId("door").onsubmit = (event) => {
  event.preventDefault();
  key = byId("key").value;
  byId("key").value = "";
  byId("door").hidden = true;
  work();
};
byId("files").onchange = (event) => {
  add(event.target.files);
  event.target.value = ""; // the same file may be chosen again
};
byId("strength").oninput = () => (byId("strength-value").value = `${byId("strength").value} %`);
byId("auto").onchange = () => (byId("strength").disabled = byId("auto").checked);
byId("again").onclick = () => enqueue(shown);

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // a file dropped beside the field does not replace the page
    byId("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}
tellModel().catch(() => (byId("model").textContent = "the server does not answer"));
