// The voices of the last seconds as bars that move to the left: the caller's above, the agent's below.

// A bar is the loudest of so many milliseconds, and has so much room, in pixels.
const BAR_MS = 80;
const BAR_ROOM = 5;
// What is kept, in seconds: no window shows more.
const KEPT = 40;
// Where the names of the voices stand, in pixels.
const LEFT = 60;

export class Scope {
  #canvas;
  #bars = [];
  #marks = [];
  #colours;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#readColours();
      this.draw(this.#bars.at(-1)?.at ?? 0);
    });
    new ResizeObserver(() => this.draw(this.#bars.at(-1)?.at ?? 0)).observe(canvas);
  }

  clear() {
    this.#bars = [];
    this.#marks = [];
  }

  // Takes the levels of this moment, in milliseconds since the call began.
  add(at, you, agent) {
    const slot = Math.floor(at / BAR_MS);
    const last = this.#bars.at(-1);
    if (last?.slot === slot) {
      last.you = Math.max(last.you, you);
      last.agent = Math.max(last.agent, agent);
      last.at = at;
    } else {
      this.#bars.push({ slot, at, you, agent });
    }
    const oldest = slot - (KEPT * 1000) / BAR_MS;
    while (this.#bars.length && this.#bars[0].slot < oldest) this.#bars.shift();
    while (this.#marks.length && this.#marks[0] < oldest * BAR_MS) this.#marks.shift();
  }

  // Marks the moment of an interruption.
  mark(at) {
    this.#marks.push(at);
  }

  draw(now) {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const x = (at) => width - ((now - at) / BAR_MS) * BAR_ROOM;
    this.#grid(pen, x, now, width, height);
    const swing = height * 0.2;
    pen.lineCap = "round";
    pen.lineWidth = 3;
    for (const [voice, middle] of [["you", height * 0.27], ["agent", height * 0.73]]) {
      pen.strokeStyle = this.#colours[voice];
      for (const bar of this.#bars) {
        const place = x(bar.slot * BAR_MS + BAR_MS / 2);
        if (place < LEFT || bar[voice] < 0.02) continue;
        const reach = Math.max(1, bar[voice] ** 1.4 * swing);
        pen.beginPath();
        pen.moveTo(place, middle - reach);
        pen.lineTo(place, middle + reach);
        pen.stroke();
      }
    }
    pen.strokeStyle = this.#colours.alert;
    pen.lineWidth = 1.5;
    for (const at of this.#marks) {
      if (x(at) < LEFT) continue;
      pen.beginPath();
      pen.moveTo(x(at), height * 0.06);
      pen.lineTo(x(at), height * 0.94);
      pen.stroke();
    }
  }

  #grid(pen, x, now, width, height) {
    pen.lineWidth = 1;
    pen.strokeStyle = this.#colours.rule;
    for (const middle of [height * 0.27, height * 0.73]) {
      pen.beginPath();
      pen.moveTo(LEFT, Math.round(middle) + 0.5);
      pen.lineTo(width, Math.round(middle) + 0.5);
      pen.stroke();
    }
    pen.strokeStyle = this.#colours.grid;
    for (let second = Math.floor(now / 1000); second > 0 && x(second * 1000) >= LEFT; second -= 1) {
      pen.beginPath();
      pen.moveTo(x(second * 1000), 8);
      pen.lineTo(x(second * 1000), height - 8);
      pen.stroke();
    }
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.#colours = {
      you: colour("--you-wave"),
      agent: colour("--agent-wave"),
      alert: colour("--alert"),
      rule: colour("--rule"),
      grid: colour("--grid"),
    };
  }
}
