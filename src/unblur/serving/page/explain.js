// Why the model restored a region so: a click into the picture asks the server, whose answer is a page of its own.

import { job, Refused } from "./jobs.js";

const SIDE = 32; // pixels of the region

export class Explainer {
  // `ask` has the person asked for the key, `keyNow` returns the one there is.
  constructor(byId, viewer, player, keyNow, ask) {
    Object.assign(this, { viewer, player, keyNow, ask, stop: null, photograph: null, lacks: "" });
    this.panel = byId("why");
    this.state = byId("why-state");
    this.progress = byId("why-progress");
    this.cancel = byId("why-cancel");
    this.page = byId("why-page");
    this.download = byId("why-download");
    this.button = byId("explain");
    this.how = byId("explain-how");
    this.usual = this.how.textContent;
    this.button.onclick = () => this.turn(this.button.ariaPressed !== "true");
    this.cancel.onclick = () => this.stop?.abort();
    viewer.onPick = (x, y) => this.#explain(x, y);
  }

  // Show the switch where the server explains its model's answers, or would if more were installed there: then it says so.
  async show(photograph) {
    this.forget();
    this.photograph = photograph;
    const told = await this.#told();
    if (photograph !== this.photograph) return; // another is shown meanwhile
    this.lacks = told.explains ? "" : (told.explains_not ?? "");
    this.how.textContent = this.lacks || this.usual;
    this.button.hidden = !told.explains && !told.explains_with;
    this.turn(!this.button.hidden && this.button.ariaPressed === "true");
  }

  turn(on) {
    this.viewer.pick(on && !this.lacks);
    this.button.ariaPressed = String(on);
  }

  async #told() {
    try {
      const answer = await fetch("./v1/model", { headers: this.keyNow() ? { "X-API-Key": this.keyNow() } : {} });
      return answer.ok ? await answer.json() : {};
    } catch {
      return {};
    }
  }

  // End what is under way, and clear the panel.
  forget() {
    this.stop?.abort();
    this.stop = this.photograph = null;
    this.panel.hidden = true;
    this.page.removeAttribute("srcdoc");
    this.#letGo();
    this.viewer.mark(null);
  }

  #letGo() {
    if (this.download.href) URL.revokeObjectURL(this.download.href);
    this.download.removeAttribute("href");
  }

  async #explain(x, y) {
    const { photograph } = this;
    if (!photograph) return;
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    const [width, height] = this.viewer.size();
    const side = Math.min(SIDE, width, height);
    const half = Math.floor(side / 2); // as the server halves it
    const inside = (at, most) => Math.min(most - side + half, Math.max(half, Math.round(at)));
    const at = [inside(x, width), inside(y, height)];
    const time = photograph.said.kind === "video" ? this.player.stop() : null; // what is shown is what is explained
    const query = `at=${at}&size=${side}${time === null ? "" : `&time=${time.toFixed(4)}`}`;
    const where = `column ${at[0]}, row ${at[1]}${time === null ? "" : ` at ${time.toFixed(2)} s`}`;
    this.viewer.mark({ left: at[0] - half, top: at[1] - half, side });
    this.panel.hidden = false;
    this.page.hidden = this.download.hidden = true;
    this.progress.hidden = this.cancel.hidden = false;
    this.progress.removeAttribute("value"); // until the server says how far it is
    this.#tell(`${where}: uploading …`);
    try {
      const { result } = await job(`/v1/explain?${query}`, photograph.file, this.keyNow(), stop.signal, (said) => {
        if (stop !== this.stop) return;
        if (said.share) this.progress.value = said.share;
        this.#tell(`${where}: ${said.status === "queued" ? "waiting for others" : "explaining"} …`);
      });
      const page = await result.text();
      if (stop !== this.stop) return;
      this.page.srcdoc = page; // without a script, in a frame that may do nothing
      this.page.hidden = this.download.hidden = false;
      this.#letGo();
      this.download.href = URL.createObjectURL(result);
      this.download.download = `${photograph.name.replace(/.*\/|\.[^.]*$/g, "")}-explained.html`;
      this.#tell(`why the model restored it so, ${time === null ? "at " : ""}${where}`);
    } catch (error) {
      if (stop !== this.stop) return;
      if (stop.signal.aborted) this.#tell("cancelled");
      else if (error.status === 401) {
        this.#tell("the server asks for the API key; click again when it has it", true);
        this.ask();
      } else if (error.status === 429) this.#tell(`${error.message}; try again in ${error.seconds || 60} s`, true);
      else this.#tell(error instanceof Refused ? error.message : "the server does not answer; try again", true);
    } finally {
      if (stop === this.stop) this.progress.hidden = this.cancel.hidden = true;
    }
  }

  #tell(text, wrong = false) {
    this.state.textContent = text;
    this.state.className = wrong ? "wrong" : "";
    this.state.setAttribute("role", wrong ? "alert" : "status");
  }
}
