// Keeps the screen of a phone on while it is wanted: a page behind a dark screen is put to sleep, and its call with it.

export class Awake {
  #wanted = false;
  #lock = null;

  constructor() {
    // The lock is lost whenever the page is not seen.
    document.addEventListener("visibilitychange", () => this.keep(this.#wanted));
  }

  async keep(wanted) {
    this.#wanted = wanted;
    if (wanted && document.visibilityState === "visible") {
      // It is refused where the battery is low; the call goes on.
      this.#lock = await navigator.wakeLock?.request("screen").catch(() => null);
      if (this.#wanted) return;
    }
    this.#lock?.release();
    this.#lock = null;
  }
}
