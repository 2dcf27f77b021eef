// The conversation as it is said: one line for each turn, in the order in which turns begin.

// Words come faster than they are spoken. Until the server says how far it got, this is how fast an
// agent is taken to speak, in characters a second.
const SPEECH_RATE = 15.5;
// How much is shown of what was not heard any more.
const CUT_WORDS = 8;

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

// One line of somebody's.
class Turn {
  constructor(list, role, who) {
    this.row = element("li", `turn ${role}`);
    this.said = element("span", "said");
    this.heard = element("span", "heard");
    this.unheard = element("span", "unheard");
    this.said.append(this.heard, this.unheard);
    this.row.append(element("span", "who", who), this.said);
    this.text = "";
    this.spokenFrom = null;
    list.append(this.row);
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

  wait() {
    this.said.append(element("span", "dots", "•••"));
  }

  note(text) {
    this.said.append(element("span", "meta", text));
  }
}

export class Transcript {
  #list;
  #empty;
  #agent;
  #turns = new Map();
  #calls = new Map();

  constructor(list, empty, agent) {
    this.#list = list;
    this.#empty = empty;
    this.#agent = agent;
  }

  clear() {
    this.#list.replaceChildren();
    this.#turns.clear();
    this.#calls.clear();
    this.#empty.hidden = false;
  }

  // The caller begins to speak, or has written.
  caller(id, text = null) {
    const turn = this.#turn(id, "you", "You");
    if (text === null) turn.wait();
    else this.callerSaid(id, text);
  }

  callerHeard(id, delta) {
    const turn = this.#turn(id, "you", "You");
    turn.text += delta;
    turn.show();
    this.#follow();
  }

  // What was said, when it is known; a sound that was no words leaves no line.
  callerSaid(id, text) {
    const turn = this.#turn(id, "you", "You");
    turn.text = text;
    turn.show();
    if (!text.trim()) {
      turn.row.remove();
      this.#turns.delete(id);
    }
    this.#follow();
  }

  agentSays(id, delta) {
    const turn = this.#turn(id, "agent", this.#agent);
    turn.text += delta;
    turn.show(turn.spoken ?? 0);
    this.#follow();
  }

  // The sound of these items is being played from now on.
  playing(id, at, after) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    turn.spokenFrom = at;
    if (after !== null) turn.note(`after ${(after / 1000).toFixed(1)} s`);
  }

  played(id) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    turn.spokenFrom = null;
    turn.spoken = turn.text.length;
    turn.show();
  }

  // The answer was cut: `heard` is what the server remembers of it.
  cut(id, heard) {
    const turn = this.#turns.get(id);
    if (!turn) return;
    turn.spokenFrom = null;
    turn.spoken = heard.length;
    turn.row.classList.add("cut");
    turn.said.append(element("span", "scissors", "✂ interrupted"));
    const rest = turn.text.slice(heard.length).trim().split(" ");
    const shown = rest.slice(0, CUT_WORDS).join(" ");
    turn.heard.textContent = `${heard} `;
    turn.unheard.textContent = shown + (rest.length > CUT_WORDS ? " …" : "");
  }

  advance(now) {
    for (const turn of this.#turns.values()) {
      if (turn.spokenFrom === null) continue;
      turn.spoken = Math.min(turn.text.length, ((now - turn.spokenFrom) / 1000) * SPEECH_RATE);
      turn.show(Math.floor(turn.spoken));
    }
  }

  toolCalled(callId, tool, args) {
    let written = args;
    try {
      written = Object.entries(JSON.parse(args))
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(", ");
    } catch {
      // It is shown as it came.
    }
    this.#calls.set(callId, this.#chip("tool", `⚙ ${tool}(${written})`));
  }

  toolAnswered(callId, output) {
    this.#calls.get(callId)?.append(element("em", "", output));
    this.#follow();
  }

  alert(text) {
    this.#chip("alert", text);
  }

  #chip(kind, text) {
    const chip = element("li", `chip ${kind}`);
    chip.append(element("span", "", text));
    this.#add(chip);
    return chip;
  }

  #turn(id, role, who) {
    if (!this.#turns.has(id)) {
      this.#empty.hidden = true;
      this.#turns.set(id, new Turn(this.#list, role, who));
      this.#follow();
    }
    return this.#turns.get(id);
  }

  #add(row) {
    this.#empty.hidden = true;
    this.#list.append(row);
    this.#follow();
  }

  #follow() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}
