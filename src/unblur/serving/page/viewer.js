// Before and after in one stage: the edge between them moves, and both are zoomed and moved together.

const STEP = 40; // CSS pixels that an arrow key moves the photograph
const MOST = 16; // CSS pixels a pixel of the photograph

export class Viewer {
  constructor(byId) {
    this.stage = byId("stage");
    this.before = byId("before");
    this.after = byId("after");
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
    this.after.onload = () => {
      this.stage.style.aspectRatio = this.after.naturalWidth / this.after.naturalHeight;
      this.fit();
    };
    new ResizeObserver(() => (this.fitted ? this.fit() : this.draw())).observe(this.stage);
    this.split.addEventListener("keydown", (event) => this.#slide(event));
    this.stage.addEventListener("keydown", (event) => this.#key(event));
    this.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
  }

  show(before, after) {
    this.before.src = before;
    this.after.src = after; // its load fits both in
    this.slide(0.5);
  }

  slide(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.draw();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    this.scale = Math.min(width / this.after.naturalWidth, height / this.after.naturalHeight, 1) || 1;
    this.x = (width - this.after.naturalWidth * this.scale) / 2;
    this.y = (height - this.after.naturalHeight * this.scale) / 2;
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
    const size = [this.after.naturalWidth * this.scale, this.after.naturalHeight * this.scale];
    // Some of the photograph always stays in the stage.
    this.x = Math.min(width - 32, Math.max(32 - size[0], this.x));
    this.y = Math.min(height - 32, Math.max(32 - size[1], this.y));
    for (const image of [this.before, this.after]) {
      image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    }
    const edge = this.share * width;
    const inside = Math.min(this.after.naturalWidth, Math.max(0, (edge - this.x) / this.scale));
    this.after.style.clipPath = `inset(0 0 0 ${inside}px)`;
    this.before.style.clipPath = `inset(0 ${this.after.naturalWidth - inside}px 0 0)`;
    this.split.style.left = `${edge}px`;
    const percent = Math.round(this.share * 100);
    this.split.ariaValueNow = String(percent);
    this.split.ariaValueText = `before on the left ${percent} %, after on the right ${100 - percent} %`;
    this.stage.classList.toggle("large", this.scale * devicePixelRatio > 2);
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
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  #wheel(event) {
    event.preventDefault();
    this.zoom(this.scale * 2 ** (-event.deltaY / 300), ...this.#place(event));
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
    this.pointers.set(event.pointerId, { place: this.#place(event), slides });
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
