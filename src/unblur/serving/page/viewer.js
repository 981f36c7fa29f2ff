// Before and after in one stage: the edge between them moves, and both are zoomed and moved together.

const STEP = 40; // CSS pixels that an arrow key moves the photograph
const CLICK = 5; // CSS pixels that a click may move
const LINE = 33; // CSS pixels of a line, in which some browsers count what a wheel turns
const MOST = 16; // CSS pixels a pixel of the photograph

export class Viewer {
  constructor(byId) {
    this.stage = byId("stage");
    this.photograph = [byId("before"), byId("after")];
    this.clip = [byId("clip-before"), byId("clip")];
    [this.before, this.after] = this.photograph;
    this.marked = byId("mark");
    this.region = null;
    this.picks = false; // whether a click picks a place, which `onPick` gets in pixels of the photograph
    this.onPick = () => {};
    this.onKey = {}; // what keys do to a clip
    this.split = byId("split");
    this.zoomed = byId("zoom");
    this.share = 0.5; // of the stage's width that shows before
    this.scale = this.x = this.y = 0;
    this.fitted = true;
    this.pointers = new Map();
    byId("fit").onclick = () => this.fit();
    byId("full").onclick = () => this.zoom(1 / devicePixelRatio);
    byId("in").onclick = () => this.zoom(this.scale * 1.5);
    byId("out").onclick = () => this.zoom(this.scale / 1.5);
    byId("after").onload = byId("clip").onloadedmetadata = () => {
      const [width, height] = this.size();
      this.stage.style.aspectRatio = width / height;
      this.stage.style.setProperty("--own", `${height}px`);
      for (const video of this.clip) Object.assign(video, { width, height });
      if (this.stays) this.draw();
      else this.fit();
    };
    new ResizeObserver(() => (this.fitted ? this.fit() : this.draw())).observe(this.stage);
    this.split.addEventListener("keydown", (event) => this.#slide(event));
    this.stage.addEventListener("keydown", (event) => this.#key(event));
    this.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.stage.addEventListener("pointermove", (event) => this.#move(event));
    this.stage.addEventListener("pointerup", (event) => this.#up(event));
    this.stage.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
  }

  // Have a clip or a photograph in the stage; one that `stays` is the same as before, restored again: so stays the view.
  take(clip, stays = false) {
    this.stays = stays;
    for (const each of this.photograph) each.hidden = clip;
    for (const each of this.clip) each.hidden = !clip;
    if (clip) this.letGo();
    [this.before, this.after] = clip ? this.clip : this.photograph;
    this.stage.ariaLabel = `${clip ? "Clip: space plays and stops it, comma and period go from frame to frame, " : "Photograph: "}drag or arrow keys move it, plus and minus zoom, 0 fits it in`;
    this.mark(null);
    if (!stays) this.slide(0.5);
  }

  show(before, after) {
    if (this.before.src !== before) this.before.src = before;
    this.after.src = after; // its load fits both in
  }

  // Let go of a photograph's pixels: of a large one they take hundreds of megabytes.
  letGo() {
    for (const image of this.photograph) image.removeAttribute("src");
  }

  // Width and height of what is shown, in its own pixels.
  size() {
    const { naturalWidth, naturalHeight, videoWidth, videoHeight } = this.after;
    return [naturalWidth ?? videoWidth, naturalHeight ?? videoHeight];
  }

  // Have clicks pick a place, or not.
  pick(on) {
    this.picks = on;
    this.stage.classList.toggle("picks", on);
  }

  // Mark a square region, or none.
  mark(region) {
    this.region = region;
    this.draw();
  }

  slide(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.draw();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const [ownWidth, ownHeight] = this.size();
    this.scale = Math.min(width / ownWidth, height / ownHeight, 1) || 1;
    this.x = (width - ownWidth * this.scale) / 2;
    this.y = (height - ownHeight * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  // Zoom to a scale in CSS pixels a pixel; (x, y) of the stage stays where it is.
  zoom(scale, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const to = Math.min(MOST, Math.max(0.01, scale));
    this.x = x - ((x - this.x) * to) / this.scale;
    this.y = y - ((y - this.y) * to) / this.scale;
    this.scale = to;
    this.fitted = false;
    this.draw();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.fitted = false;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const own = this.size();
    const size = own.map((side) => side * this.scale);
    // Some of the photograph always stays in the stage.
    this.x = Math.min(width - 32, Math.max(32 - size[0], this.x));
    this.y = Math.min(height - 32, Math.max(32 - size[1], this.y));
    for (const image of [this.before, this.after]) {
      image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    }
    const edge = this.share * width;
    const inside = Math.min(own[0], Math.max(0, (edge - this.x) / this.scale));
    this.after.style.clipPath = `inset(0 0 0 ${inside}px)`;
    this.before.style.clipPath = `inset(0 ${own[0] - inside}px 0 0)`;
    this.split.style.left = `${edge}px`;
    const percent = Math.round(this.share * 100);
    this.split.ariaValueNow = String(percent);
    this.split.ariaValueText = `before on the left ${percent} %, after on the right ${100 - percent} %`;
    this.stage.classList.toggle("fitted", this.fitted);
    this.stage.classList.toggle("large", this.scale * devicePixelRatio > 2);
    this.marked.hidden = !this.region;
    if (this.region) {
      const { left, top, side } = this.region;
      const place = { left: this.x + left * this.scale, top: this.y + top * this.scale };
      Object.assign(this.marked.style, { left: `${place.left}px`, top: `${place.top}px` });
      this.marked.style.width = this.marked.style.height = `${side * this.scale}px`;
    }
    this.zoomed.value = `${Math.round(this.scale * devicePixelRatio * 100)} %`;
  }

  #slide(event) {
    const to = {
      ArrowLeft: this.share - 0.01,
      ArrowDown: this.share - 0.01,
      ArrowRight: this.share + 0.01,
      ArrowUp: this.share + 0.01,
      PageDown: this.share - 0.1,
      PageUp: this.share + 0.1,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.slide(to);
  }

  #key(event) {
    const act = {
      ArrowLeft: () => this.pan(STEP, 0),
      ArrowRight: () => this.pan(-STEP, 0),
      ArrowUp: () => this.pan(0, STEP),
      ArrowDown: () => this.pan(0, -STEP),
      "+": () => this.zoom(this.scale * 1.5),
      "-": () => this.zoom(this.scale / 1.5),
      0: () => this.fit(),
      Enter: this.picks && (() => this.#picked(this.stage.clientWidth / 2, this.stage.clientHeight / 2)),
      ...(this.after === this.clip[1] ? this.onKey : {}),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return; // which are the browser's
    event.preventDefault();
    act();
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
    this.zoom(this.scale * 2 ** (-pixels / 300), ...this.#place(event));
  }

  #place(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button) return;
    this.stage.setPointerCapture(event.pointerId);
    const slides = event.target === this.split;
    if (slides) this.split.focus();
    this.pointers.set(event.pointerId, { place: this.#place(event), slides, began: this.#place(event) });
    if (this.pointers.size > 1) for (const each of this.pointers.values()) each.began = null; // two fingers do not click
  }

  // What ends where it began is a click.
  #up(event) {
    const pointer = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!pointer?.began || pointer.slides || !this.picks) return;
    const [x, y] = this.#place(event);
    if (Math.hypot(x - pointer.began[0], y - pointer.began[1]) < CLICK) this.#picked(x, y);
  }

  #picked(x, y) {
    const [column, row] = [(x - this.x) / this.scale, (y - this.y) / this.scale];
    const [width, height] = this.size();
    if (column >= 0 && row >= 0 && column < width && row < height) this.onPick(column, row);
  }

  // One finger or the mouse moves the photograph, or the edge where it began there; two fingers zoom.
  #move(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    const [x, y] = this.#place(event);
    const [fromX, fromY] = pointer.place;
    pointer.place = [x, y];
    if (pointer.slides) {
      this.slide(x / this.stage.clientWidth);
      return;
    }
    const other = [...this.pointers.values()].find((each) => each !== pointer && !each.slides);
    if (!other) {
      this.pan(x - fromX, y - fromY);
      return;
    }
    const [restX, restY] = other.place;
    const grown = Math.hypot(x - restX, y - restY) / Math.max(1, Math.hypot(fromX - restX, fromY - restY));
    this.zoom(this.scale * grown, restX, restY);
  }
}
