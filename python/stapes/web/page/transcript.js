// The conversation as it is said: one line for each turn, in the order in which turns begin.

// Words come faster than they are spoken. Until it is known how long the voice takes for them, this is how
// fast an agent is taken to speak, in characters a second; and what the real number may be.
const SPEECH_RATE = 15.5;
const [SLOWEST, FASTEST] = [9, 26];
// Nothing has come for so long: the voice of all that was said is there. In milliseconds.
const ARRIVED = 700;
// A voice that ends within so many seconds is at its end.
export const OVER_SOON = 0.05;
// How much is shown of what was not heard any more, in words.
const CUT_WORDS = 8;
// How many lines are kept; the oldest go.
const MOST_LINES = 400;
// For how long a caller's words may still arrive after another turn began, in milliseconds.
const LATEST_WORDS = 15000;
const TOOL_STATUS = { started: "…", finished: "✓", failed: "failed", waiting: "waits for an approval" };

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

function asArguments(given) {
  if (given === undefined || given === null) return "";
  try {
    const values = typeof given === "string" ? JSON.parse(given) : given;
    return `(${Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")})`;
  } catch {
    return `(${given})`;
  }
}

// One line of somebody's.
class Turn {
  text = "";
  // Seconds of the call's playback: where its voice begins and, once all of it is there, ends.
  from = null;
  until = null;
  heardLength = 0;
  final = false;
  began = performance.now();

  constructor(role, who) {
    this.row = element("li", `turn ${role}`);
    this.said = element("span", "said");
    this.heard = element("span", "heard");
    this.unheard = element("span", "unheard");
    this.said.append(this.heard, this.unheard);
    this.row.append(element("span", "who", who), this.said);
  }

  show(heard = this.text.length) {
    this.row.querySelector(".dots")?.remove();
    // Words are not torn: what is being said counts as heard.
    const space = this.text.indexOf(" ", heard);
    const end = heard >= this.text.length || space < 0 ? this.text.length : space;
    const [spoken, rest] = [this.text.slice(0, heard && end), this.text.slice(heard && end)];
    if (this.heard.textContent !== spoken) this.heard.textContent = spoken;
    if (this.unheard.textContent !== rest) this.unheard.textContent = rest;
  }

  // Where its voice ends, as far as that is known.
  ends() {
    return this.until ?? (this.from ?? -Infinity) + this.text.length / SPEECH_RATE;
  }

  wait() {
    if (!this.row.querySelector(".dots")) this.said.append(element("span", "dots", "•••"));
  }

  // Shows what has been heard by now, of a voice that is at this second.
  advance(played) {
    if (this.from === null || (played <= this.from && this.until === null)) return;
    const measured = this.until === null ? SPEECH_RATE : this.text.length / (this.until - this.from);
    const rate = Math.min(FASTEST, Math.max(SLOWEST, measured));
    const isOver = this.until !== null && played >= this.until - OVER_SOON;
    const spoken = isOver ? this.text.length : Math.floor((played - this.from) * rate);
    this.heardLength = Math.max(this.heardLength, Math.min(this.text.length, spoken));
    this.show(this.heardLength);
    if (isOver) this.from = null;
  }
}

export class Transcript {
  agent = "Agent";
  #list;
  #empty;
  #turns = new Map();
  #tools = new Map();
  // Lines of the caller's that no words have come for yet.
  #waiting = [];
  #speaking = new Set();
  #received = 0;
  #receivedAt = 0;

  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
    // A phone that is turned, or a keyboard that comes, hides the last line otherwise.
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  clear() {
    this.#list.replaceChildren();
    for (const kept of [this.#turns, this.#tools, this.#speaking]) kept.clear();
    this.#received = 0;
    this.#waiting = [];
    this.#empty.hidden = false;
  }

  // The caller begins to speak.
  hearing() {
    const oldest = performance.now() - LATEST_WORDS;
    for (const turn of this.#waiting) if (turn.began < oldest && !turn.text) turn.row.remove();
    this.#waiting = this.#waiting.filter((turn) => turn.began >= oldest);
    const last = this.#waiting.at(-1);
    if (last?.text === "" && last.row === this.#list.lastElementChild) return;
    const turn = new Turn("you", "You");
    turn.wait();
    this.#waiting.push(turn);
    this.#add(turn.row);
  }

  // The caller has written this.
  wrote(text) {
    const turn = new Turn("you", "You");
    turn.text = text;
    turn.show();
    this.#waiting.push(turn);
    this.#add(turn.row);
  }

  // Somebody's words, all of them so far; `received` is how many seconds of voice are there. `isPaced`: the voice comes
  // as it is spoken, and what was said before may still be on its way.
  said({ role, item_id: id, text, final, interrupted }, received, isPaced = false) {
    if (role === "user") return this.#callerSaid(id, text, final);
    if (interrupted) return this.#cut(id, text);
    let turn = this.#turns.get(id);
    if (turn?.row.classList.contains("cut")) return;
    if (!turn) {
      if (!text) return;
      turn = new Turn("agent", this.agent);
      if (!Number.isNaN(received)) {
        turn.from = isPaced ? Math.max(received, ...[...this.#speaking].map((earlier) => earlier.ends())) : received;
        for (const earlier of this.#speaking) earlier.until ??= turn.from;
        this.#receivedAt = performance.now();
      }
      this.#turns.set(id, turn);
      this.#speaking.add(turn);
      this.#add(turn.row);
    }
    turn.text = text;
    turn.final = final;
    turn.show(turn.heardLength);
    this.#follow();
  }

  // The voice of an item is at its beginning, or was played to its end.
  playing(id, played, after = null) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    turn.from = played;
    if (after !== null) turn.said.append(element("span", "meta", `after ${after.toFixed(1)} s`));
  }

  played(id) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    turn.from = null;
    turn.heardLength = turn.text.length;
    this.#speaking.delete(turn);
    turn.show();
  }

  // The voice is at this second of those that are there, or NaN.
  advance(played, received) {
    const now = performance.now();
    if (received !== this.#received) [this.#received, this.#receivedAt] = [received, now];
    const isThere = now - this.#receivedAt > ARRIVED;
    for (const turn of this.#speaking) {
      if (turn.final && isThere) turn.until = Math.min(turn.until ?? Infinity, received);
      turn.advance(played);
      if (turn.final && turn.from === null && turn.heardLength === turn.text.length) this.#speaking.delete(turn);
    }
  }

  tool({ call_id: id, name, status, arguments: given, output }) {
    let chip = this.#tools.get(id);
    if (!chip) {
      chip = this.#chip("tool", `⚙ ${name}${asArguments(given)}`);
      chip.append(element("em", ""));
      this.#tools.set(id, chip);
    }
    chip.dataset.status = status;
    const said = output === undefined || output === null ? TOOL_STATUS[status] ?? status : output;
    chip.lastElementChild.textContent = typeof said === "string" ? said : JSON.stringify(said);
    this.#follow();
  }

  handoff(name) {
    this.#chip("handoff", `${name} takes over`);
  }

  alert(text) {
    this.#chip("alert", text);
  }

  // Nothing more is said: what is still waited for does not come.
  end() {
    for (const turn of this.#waiting) if (!turn.text) turn.row.remove();
    this.#waiting = [];
  }

  #callerSaid(id, text, final) {
    const turn = this.#turns.get(id) ?? this.#adopted(id, text.trim());
    turn.text = text;
    if (text || final) turn.show();
    turn.row.hidden = false;
    if (final && !text.trim()) {
      // A sound that was no words.
      turn.row.remove();
      this.#turns.delete(id);
    }
    this.#follow();
  }

  // The line that waits for these words: the one where they were written, or the oldest.
  #adopted(id, text) {
    const of = (words) => this.#waiting.find((turn) => turn.text === words);
    let turn = (text && of(text)) || of("");
    if (turn) this.#waiting.splice(this.#waiting.indexOf(turn), 1);
    else {
      turn = new Turn("you", "You");
      turn.wait();
      this.#add(turn.row, this.#answering());
    }
    this.#turns.set(id, turn);
    return turn;
  }

  // What a caller said is often known only when the answer to it has begun: the first line of that answer, if any.
  #answering() {
    const isAnswer = (row) => row?.matches(".chip:not(.alert)") || [...this.#speaking].some((turn) => turn.row === row);
    let first = null;
    for (let row = this.#list.lastElementChild; isAnswer(row); row = row.previousElementSibling) first = row;
    return first;
  }

  // The answer was cut: `heard` is what is remembered of it.
  #cut(id, heard) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    this.#speaking.delete(turn);
    if (!turn.row.classList.contains("cut")) {
      turn.row.classList.add("cut");
      turn.said.append(element("span", "scissors", "interrupted"));
    }
    const rest = turn.text.slice(heard.length).trim().split(" ");
    turn.heard.textContent = heard && `${heard} `;
    turn.unheard.textContent = rest.slice(0, CUT_WORDS).join(" ") + (rest.length > CUT_WORDS ? " …" : "");
    this.#follow();
  }

  #chip(kind, text) {
    const chip = element("li", `chip ${kind}`);
    chip.append(element("span", "", text));
    this.#add(chip);
    return chip;
  }

  #add(row, before = null) {
    this.#empty.hidden = true;
    // What no words have come for is no turn to look at, once the conversation goes on.
    for (const turn of this.#waiting) if (!turn.text && turn.row !== row) turn.row.hidden = true;
    this.#list.insertBefore(row, before);
    if (this.#list.childElementCount > MOST_LINES) this.#forget(this.#list.firstElementChild);
    this.#follow();
  }

  #forget(row) {
    for (const [id, turn] of this.#turns) if (turn.row === row) this.#turns.delete(id);
    for (const [id, chip] of this.#tools) if (chip === row) this.#tools.delete(id);
    row.remove();
  }

  #follow() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}
