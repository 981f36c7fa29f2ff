// A clip before and after, in step: the restored one leads and is heard, the other follows it.

const APART = 0.04; // seconds that they may be apart while they play

export class Player {
  constructor(byId) {
    this.before = byId("clip-before");
    this.after = byId("clip");
    this.seek = byId("seek");
    this.time = byId("time");
    this.play = byId("play");
    this.sound = byId("sound");
    this.frame = 1 / 25; // seconds, until it is known
    this.play.onclick = () => this.toggle();
    this.seek.oninput = () => this.go(this.seek.value * this.after.duration);
    this.sound.onclick = () => {
      this.after.muted = !this.after.muted;
      this.sound.ariaPressed = String(!this.after.muted);
    };
    for (const event of ["play", "pause", "seeking", "timeupdate", "loadedmetadata"]) {
      this.after.addEventListener(event, () => this.#follow());
    }
    this.before.addEventListener("loadedmetadata", () => this.#follow());
  }

  // Show a clip of so many frames.
  show(before, after, frames) {
    this.before.src = before;
    this.after.src = after;
    this.after.muted = true;
    this.sound.ariaPressed = "false";
    this.frames = frames;
  }

  hide() {
    for (const video of [this.before, this.after]) {
      video.pause();
      video.removeAttribute("src");
      video.load(); // lets go of the file
    }
  }

  toggle() {
    if (this.after.paused) this.after.play().catch(() => {}); // what cannot be shown says so by its own event
    else this.after.pause();
  }

  // Go to a moment, and stop there.
  go(seconds) {
    this.after.pause();
    this.after.currentTime = Math.min(this.after.duration || 0, Math.max(0, seconds));
  }

  // Stop, and return the seconds at which the clip is.
  stop() {
    this.after.pause();
    return this.after.currentTime;
  }

  step(frames) {
    this.go(this.after.currentTime + frames * this.frame);
  }

  #follow() {
    const { before, after } = this;
    if (this.frames && after.duration) this.frame = after.duration / this.frames;
    if (before.readyState) {
      const apart = Math.abs(before.currentTime - after.currentTime);
      if (apart > (after.paused ? 0 : APART)) before.currentTime = after.currentTime;
      if (after.paused) before.pause();
      else if (before.paused) before.play().catch(() => {});
    }
    this.play.textContent = after.paused ? "Play" : "Pause";
    this.seek.value = after.duration ? after.currentTime / after.duration : 0;
    this.time.value = `${after.currentTime.toFixed(2)} of ${(after.duration || 0).toFixed(2)} s`;
    this.seek.ariaValueText = this.time.value;
  }
}
