// The page: one button, and what happens while the call lasts.

import * as agent from "./agent.js";
import { Call, CallError } from "./call.js";
import { Conversation } from "./conversation.js";
import { Level } from "./levels.js";
import { Scope } from "./scope.js";
import { Transcript } from "./transcript.js";

const STATES = {
  idle: "not connected",
  connecting: "connecting",
  listening: "listening",
  hearing: "hearing you",
  thinking: "thinking",
  speaking: "speaking",
  ended: "call ended",
  failed: "no call",
  lost: "call lost",
};
const find = (id) => document.getElementById(id);
const scope = new Scope(find("scope"));
const transcript = new Transcript(find("log"), find("empty"), agent.name);
let key = "development";
let current = null;

// All that belongs to one call, from the button to the end.
class Session {
  #call = null;
  #conversation = null;
  #context = new AudioContext();
  #levels = {};
  #began = null;
  #over = false;

  async begin() {
    show("connecting");
    const microphone = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    this.#levels.you = new Level(this.#context, microphone);
    this.#call = new Call(microphone, key, {
      event: (event) => this.#conversation.handle(event),
      voice: (stream) => this.#hear(stream),
      ended: (problem) => this.#end(problem),
    });
    this.#conversation = new Conversation(transcript, {
      send: (event) => this.#call.send(event),
      onState: show,
      onInterrupted: () => scope.mark(performance.now() - this.#began),
    });
    await this.#call.connect(agent.session);
    this.#began = performance.now();
    requestAnimationFrame(() => this.#tick());
  }

  say(text) {
    this.#conversation.say(text);
  }

  interrupt() {
    this.#conversation?.interrupt();
  }

  mute(muted) {
    this.#call.muted = muted;
  }

  hangUp() {
    if (this.#call) this.#call.hangUp();
    else this.#end(null);
  }

  #hear(stream) {
    find("voice").srcObject = stream;
    this.#levels.agent = new Level(this.#context, stream);
  }

  #tick() {
    if (this.#over) return;
    const now = performance.now();
    const [you, voice] = [this.#levels.you.read(), this.#levels.agent?.read() ?? 0];
    fill("mic-level", you);
    fill("agent-level", voice);
    scope.add(now - this.#began, you, voice);
    scope.draw(now - this.#began);
    transcript.advance(now);
    const seconds = Math.floor((now - this.#began) / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (find("clock").textContent !== clock) find("clock").textContent = clock;
    requestAnimationFrame(() => this.#tick());
  }

  #end(problem) {
    if (this.#over) return;
    this.#over = true;
    for (const level of Object.values(this.#levels)) level.stop();
    this.#context.close();
    find("voice").srcObject = null;
    ended(this, problem);
  }
}

function show(state) {
  document.body.dataset.state = state;
  find("state").lastElementChild.textContent = STATES[state];
  const inCall = !["idle", "ended", "failed", "lost"].includes(state);
  const talking = inCall && state !== "connecting";
  document.body.classList.toggle("in-call", inCall);
  find("call").lastElementChild.textContent = talking ? "Hang up" : inCall ? "Cancel" : "Call";
  find("mute").disabled = !talking;
  find("stop").disabled = state !== "speaking" && state !== "thinking";
  for (const control of find("write").elements) control.disabled = !talking;
}

function fill(meter, level) {
  find(meter).firstElementChild.style.transform = `scaleX(${level.toFixed(3)})`;
  const rounded = level.toFixed(1);
  if (find(meter).getAttribute("aria-valuenow") !== rounded) {
    find(meter).setAttribute("aria-valuenow", rounded);
  }
}

function explain(problem) {
  switch (problem.name) {
    case "NotAllowedError":
      return "The browser may not use the microphone. Allow it for this page, and call again.";
    case "NotFoundError":
      return "No microphone was found. Connect one, and call again.";
    default:
      return problem.message;
  }
}

function complain(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

function ended(session, problem) {
  if (current !== session) return;
  current = null;
  for (const meter of ["mic-level", "agent-level"]) fill(meter, 0);
  mute(false);
  show(problem ? "lost" : "ended");
  complain(problem ?? "");
}

function mute(muted) {
  find("mute").setAttribute("aria-pressed", String(muted));
  find("mute").lastElementChild.textContent = muted ? "Muted" : "Mute";
  current?.mute(muted);
}

async function start() {
  complain("");
  find("key-form").hidden = true;
  transcript.clear();
  scope.clear();
  const session = new Session();
  current = session;
  try {
    await session.begin();
  } catch (problem) {
    if (current !== session) return;
    session.hangUp();
    show("failed");
    complain(explain(problem));
    find("key-form").hidden = !(problem instanceof CallError && problem.status === 401);
  }
}

find("call").addEventListener("click", () => (current ? current.hangUp() : start()));
find("stop").addEventListener("click", () => current?.interrupt());
find("mute").addEventListener("click", () => mute(find("mute").getAttribute("aria-pressed") !== "true"));
find("write").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const text = find("words").value.trim();
  if (text) current?.say(text);
  find("words").value = "";
});
find("key-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  key = find("key").value.trim();
  start();
});
document.addEventListener("keydown", ({ key: pressed }) => {
  if (pressed === "Escape") current?.interrupt();
});
addEventListener("pagehide", () => current?.hangUp());
show("idle");
scope.draw(0);
