// Why the model restored a region so: a click into the photograph asks the server, whose answer is a page of its own.

import { job, Refused } from "./jobs.js";

const SIDE = 32; // pixels of the region

export class Explainer {
  // `ask` has the person asked for the key, `keyNow` returns the one there is.
  constructor(byId, viewer, keyNow, ask) {
    Object.assign(this, { viewer, keyNow, ask, stop: null, photograph: null });
    this.panel = byId("why");
    this.state = byId("why-state");
    this.progress = byId("why-progress");
    this.cancel = byId("why-cancel");
    this.page = byId("why-page");
    this.download = byId("why-download");
    this.button = byId("explain");
    this.button.onclick = () => this.turn(!viewer.picks);
    this.cancel.onclick = () => this.stop?.abort();
    viewer.onPick = (x, y) => this.#explain(x, y);
  }

  // Show the switch where the server explains its model's answers, for the photograph that is shown.
  async show(photograph) {
    this.forget();
    this.photograph = photograph;
    const clip = photograph.said.kind === "video";
    const answer = clip ? null : await fetch("./v1/model", { headers: this.#headers() }).catch(() => null);
    const explains = Boolean(answer?.ok && (await answer.json()).explains);
    if (photograph !== this.photograph) return; // another is shown meanwhile
    this.button.hidden = !explains;
    if (!explains) this.turn(false);
  }

  turn(on) {
    this.viewer.pick(on);
    this.button.ariaPressed = String(on);
  }

  // End what is under way, and clear the panel.
  forget() {
    this.stop?.abort();
    this.photograph = null;
    this.panel.hidden = true;
    this.page.removeAttribute("srcdoc");
    this.viewer.mark(null);
  }

  #headers() {
    return this.keyNow() ? { "X-API-Key": this.keyNow() } : {};
  }

  async #explain(x, y) {
    const { photograph } = this;
    if (!photograph) return;
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    const [width, height] = this.viewer.size();
    const inside = (at, side) => Math.min(side - SIDE / 2, Math.max(SIDE / 2, Math.round(at)));
    const at = [inside(x, width), inside(y, height)];
    this.viewer.mark({ left: at[0] - SIDE / 2, top: at[1] - SIDE / 2, side: SIDE });
    this.panel.hidden = false;
    this.page.hidden = this.download.hidden = true;
    this.progress.hidden = this.cancel.hidden = false;
    this.#tell(`column ${at[0]}, row ${at[1]}: is sent …`);
    try {
      const { result } = await job(`/v1/explain?at=${at}&size=${SIDE}`, photograph.file, this.keyNow(), stop.signal, (said) =>
        this.#tell(`column ${at[0]}, row ${at[1]}: ${said.status === "queued" ? "waits for others" : "is explained"} …`),
      );
      const page = await result.text();
      if (stop !== this.stop) return;
      this.page.srcdoc = page; // without a script, in a frame that may do nothing
      this.page.hidden = this.download.hidden = false;
      if (this.download.href) URL.revokeObjectURL(this.download.href);
      this.download.href = URL.createObjectURL(result);
      this.download.download = `${photograph.name.replace(/.*\/|\.[^.]*$/g, "")}-explained.html`;
      this.#tell(`why the model restored it so, at column ${at[0]}, row ${at[1]}`);
    } catch (error) {
      if (stop !== this.stop) return;
      if (stop.signal.aborted) this.#tell("cancelled");
      else if (error.status === 401) this.ask();
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
