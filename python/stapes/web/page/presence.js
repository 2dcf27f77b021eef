// The agent as something that is there: its voice moves five bars and a ring, the caller's voice another ring.

// How much of the level each bar shows, and how high bars are, in rem.
const WEIGHTS = [0.3, 0.75, 1, 0.75, 0.3];
const [LOWEST, SWING] = [0.42, 3.4];
// As in the icon.
const AT_REST = 0.6;
// How far rings reach out, and how fast they fall back: the share that is left at the next picture.
const [RING, REACH, FALL] = [0.95, 0.55, 0.88];

export class Presence {
  #bars;
  #rings;
  #levels = { you: 0, agent: 0 };

  constructor(box) {
    this.#bars = [...box.querySelectorAll(".disc i")];
    this.rest();
    this.#rings = { you: box.querySelector(".halo.you"), agent: box.querySelector(".halo.agent") };
  }

  // Nobody is there.
  rest() {
    this.#raise(AT_REST);
  }

  // Shows how loud both sides are now, from 0 to 1.
  show(you, agent) {
    this.#raise(agent);
    for (const [who, level] of Object.entries({ you, agent })) {
      this.#levels[who] = Math.max(level, this.#levels[who] * FALL);
      this.#rings[who].style.transform = `scale(${(RING + REACH * this.#levels[who] ** 1.5).toFixed(3)})`;
    }
  }

  #raise(level) {
    for (const [index, bar] of this.#bars.entries()) {
      bar.style.height = `${(LOWEST + SWING * level * WEIGHTS[index]).toFixed(2)}rem`;
    }
  }
}
