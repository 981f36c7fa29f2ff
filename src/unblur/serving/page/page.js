// The list of photographs and clips: each is a job of the server, one at a time; what it says is shown as it says it.

import { showCard } from "./card.js";
import { filesOf, isClip } from "./dropped.js";
import { Player } from "./clips.js";
import { Explainer } from "./explain.js";
import { job, Refused, restoredAtOnce } from "./jobs.js";
import { Viewer } from "./viewer.js";

const byId = (id) => document.getElementById(id);
const viewer = new Viewer(byId);
const player = new Player(byId);
const list = byId("list");
const waiting = [];
const NOTE = 60; // letters of a note in the list
const MOST_SECONDS = 10; // until a server that was busy is asked again
let key = "";
const explainer = new Explainer(byId, viewer, player, () => key, ask);
let busy = false;
let answering = ""; // SHA-256 of the model that the head of the page tells
let shown = null;

class Photograph {
  constructor({ file, name }) {
    this.file = file;
    this.name = name;
    this.before = URL.createObjectURL(file);
    this.strength = this.asked = "1"; // of what there is, and of what is to come
    this.item = list.appendChild(document.createElement("li"));
    this.pick = this.#button(name, () => show(this));
    this.pick.className = "pick";
    this.progress = this.item.appendChild(document.createElement("progress"));
    this.progress.ariaLabel = `Progress of ${name}`;
    this.state = this.item.appendChild(document.createElement("span"));
    this.remove = this.#button("Remove", () => remove(this));
  }

  #button(text, act) {
    const button = this.item.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = text;
    button.onclick = act;
    return button;
  }

  // Say how it is; `wrong` is read out at once by a screen reader. A share is of what is done of it now: the bar tells
  // that, and each per cent would be read out.
  tell(text, { wrong = false, share } = {}) {
    this.state.className = wrong ? "state wrong" : "state";
    this.state.setAttribute("role", wrong ? "alert" : share === undefined ? "status" : "none");
    this.state.textContent = text;
    this.pick.disabled = !this.after;
    this.progress.hidden = share === undefined;
    this.progress.value = share ?? 0;
    this.remove.textContent = share === undefined ? "Remove" : "Cancel";
    this.remove.ariaLabel = `${this.remove.textContent} ${this.name}`;
  }
}

function add(files) {
  for (const file of files) enqueue(new Photograph(file));
}

async function take(held) {
  try {
    const { files, left } = await filesOf(held);
    byId("left").textContent = left ? `left out of other kinds: ${left}` : "";
    add(files);
  } catch {
    byId("left").textContent = "this browser cannot read what was dropped; choose the files instead";
  }
}

function enqueue(photograph) {
  const auto = byId("auto").checked && !isClip(photograph.file); // which is for photographs alone
  photograph.asked = auto ? "auto" : String(byId("strength").value / 100);
  photograph.stop?.abort(); // what is under way has another strength
  photograph.tell("waiting");
  if (!waiting.includes(photograph)) waiting.push(photograph);
  work();
}

async function work() {
  if (busy || !byId("door").hidden) return;
  busy = true;
  while (waiting.length && byId("door").hidden) await restored(waiting.shift());
  busy = false;
}

async function restored(photograph) {
  const stop = (photograph.stop = new AbortController());
  const { asked } = photograph;
  photograph.tell("uploading …", { share: 0 });
  try {
    const { said, result } = await answered(photograph, asked, stop.signal);
    photograph.strength = asked;
    keep(photograph, said, result);
  } catch (error) {
    if (!stop.signal.aborted) await excused(photograph, error, stop.signal);
  }
  if (photograph.stop === stop) photograph.stop = null;
}

async function answered(photograph, strength, signal) {
  const tell = ({ status, share }) => {
    if (signal.aborted) return;
    const restoring = share < 1 ? `restoring … ${Math.round(share * 100)} %` : "writing the file …";
    photograph.tell(status === "queued" ? "waiting for others …" : restoring, { share });
  };
  try {
    return await job(`/v1/jobs?strength=${strength}`, photograph.file, key, signal, tell);
  } catch (error) {
    if (!error.takesNoJobs || isClip(photograph.file)) throw error;
    photograph.tell("restoring …", { share: 0 });
    return restoredAtOnce(strength, photograph.file, key, signal);
  }
}

async function excused(photograph, error, signal) {
  if (!(error instanceof Refused)) {
    photograph.tell("the server does not answer; try again", { wrong: true });
  } else if (error.status === 401) {
    photograph.tell(key ? "the server does not know this key" : "waiting for the API key", { wrong: Boolean(key) });
    waiting.unshift(photograph);
    ask();
  } else if (error.status === 429) {
    const seconds = Math.min(error.seconds || 1, MOST_SECONDS);
    photograph.tell(`the server is busy; tried again in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!signal.aborted) waiting.unshift(photograph);
  } else {
    photograph.tell(error.message, { wrong: true });
  }
}

function keep(photograph, said, result) {
  if (photograph.after) URL.revokeObjectURL(photograph.after);
  photograph.after = URL.createObjectURL(result);
  photograph.said = said;
  if (said.sha256 !== answering) tellModel(); // it was exchanged meanwhile
  photograph.target = `${photograph.file.name.replace(/\.[^.]*$/, "")}-restored.${said.format}`;
  const cut = (note) => (note.length > NOTE ? `${note.slice(0, NOTE)}…` : note); // the whole stands below the photograph
  photograph.tell(["restored", ...said.notes.map(cut)].join("; "));
  if (photograph === shown || !shown) show(photograph);
}

function show(photograph) {
  const stays = photograph === shown;
  shown = photograph;
  for (const button of list.querySelectorAll(".pick")) button.ariaCurrent = String(button === photograph.pick);
  const { model, version, sha256, seconds, notes, kind } = photograph.said;
  byId("shown").hidden = false;
  byId("name").textContent = photograph.name;
  byId("by").textContent = `${called(model, version, sha256)} · ${seconds.toFixed(1)} s · ${strengthOf(photograph)}`;
  Object.assign(byId("download"), { href: photograph.after, download: photograph.target });
  tellNotes(notes);
  const clip = kind === "video";
  byId("player").hidden = !clip;
  byId("stage").hidden = byId("tools").hidden = false;
  player.hide();
  viewer.take(clip, stays);
  const { before, after } = viewer;
  after.onerror = () => {
    if (photograph !== shown || after !== viewer.after) return;
    tellNotes([...notes, "this browser cannot show the format; download it"]);
    byId("stage").hidden = byId("tools").hidden = byId("player").hidden = true;
  };
  before.onerror = () => {
    if (photograph !== shown || before !== viewer.before || byId("stage").hidden) return;
    tellNotes([...notes, "this browser cannot show how it was before"]);
    viewer.slide(0);
  };
  if (clip) player.show(photograph.before, photograph.after, photograph.said.frames);
  else viewer.show(photograph.before, photograph.after);
  explainer.show(photograph);
}

function tellNotes(notes) {
  byId("notes").replaceChildren(
    ...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
}

function remove(photograph) {
  photograph.stop?.abort();
  if (!photograph.progress.hidden) {
    photograph.tell(photograph.after ? "cancelled; what was restored before stays" : "cancelled");
    return;
  }
  const at = waiting.indexOf(photograph);
  if (at >= 0) waiting.splice(at, 1);
  for (const url of [photograph.before, photograph.after]) if (url) URL.revokeObjectURL(url);
  const next = photograph.item.nextElementSibling ?? photograph.item.previousElementSibling;
  photograph.item.remove();
  const focused = next?.querySelector("button:last-child") ?? byId("files");
  focused.focus({ preventScroll: true }); // or else the keyboard would start at the top again
  if (photograph !== shown) return;
  shown = null;
  player.hide();
  viewer.letGo();
  explainer.forget();
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
  try {
    const ready = await (await fetch("readyz")).json();
    answering = ready.sha256;
    byId("model").textContent = called(ready.model, ready.version, ready.sha256);
    byId("model").title = `${ready.sha256}: its card`;
  } catch {
    byId("model").textContent = "the server does not answer";
  }
}

byId("model").onclick = () => showCard(byId, key, ask).catch(() => tellModel());
byId("door").onsubmit = (event) => {
  event.preventDefault();
  key = byId("key").value;
  byId("key").value = "";
  byId("door").hidden = true;
  work();
};
viewer.onKey = {
  " ": () => player.toggle(),
  ",": () => player.step(-1),
  ".": () => player.step(1),
};
byId("files").onchange = (event) => {
  byId("left").textContent = "";
  add([...event.target.files].map((file) => ({ file, name: file.name })));
  event.target.value = ""; // the same file may be chosen again
};
byId("strength").oninput = () => (byId("strength-value").value = `${byId("strength").value} %`);
byId("auto").onchange = () => (byId("strength").disabled = byId("auto").checked);
byId("again").onclick = () => enqueue(shown);

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // a file dropped beside the field does not replace the page
    byId("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") take(event.dataTransfer);
  });
}
tellModel();
