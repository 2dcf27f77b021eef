// What is seen and pressed while a call lasts: one button, the voices, the conversation.

import { Awake } from "./awake.js";
import { Presence } from "./presence.js";
import { Scope } from "./scope.js";
import { OVER_SOON, Transcript } from "./transcript.js";

const STATES = {
  idle: "not connected",
  connecting: "connecting",
  listening: "listening",
  hearing: "hearing you",
  thinking: "thinking",
  speaking: "speaking",
  reconnecting: "reconnecting",
  ended: "call ended",
  failed: "no call",
  lost: "call lost",
};
// Told to a screen reader; it is silent about the rest, because the agent is heard.
const ANNOUNCED = ["connecting", "reconnecting", "ended", "failed", "lost"];
const OVER = ["idle", "ended", "failed", "lost"];
const TRANSPORTS = { webrtc: "WebRTC", websocket: "WebSocket" };
// Of the packets since the figures before, when losses are told.
const MUCH_LOST = 0.01;
const FIGURES_MS = 1000;
const find = (id) => document.getElementById(id);

function fill(meter, level) {
  const box = find(meter);
  box.firstElementChild.style.transform = `scaleX(${level.toFixed(3)})`;
  const rounded = level.toFixed(1);
  if (box.getAttribute("aria-valuenow") !== rounded) box.setAttribute("aria-valuenow", rounded);
}

export class Screen {
  #makeCall;
  #keyAsked;
  #presence = new Presence(find("presence"));
  #scope = new Scope(find("scope"));
  #awake = new Awake();
  #transcript = new Transcript(find("log"), find("empty"));
  #call = null;
  #agent = null;
  #key = undefined;
  #began = null;
  #state = "idle";
  // Packets of the agent's voice when the line was shown last, and when that was.
  #packets = { at: 0, received: 0, lost: 0 };

  // `makeCall(key)` returns a VoiceCall. Where `keyAsked(error)` returns a text, a key is asked for with it.
  constructor(makeCall, { agent, keyAsked = () => null } = {}) {
    this.#makeCall = makeCall;
    this.#keyAsked = keyAsked;
    if (agent) this.#transcript.agent = agent;
    find("call").addEventListener("click", () => (this.#call ? this.#call.end() : this.#start()));
    find("stop").addEventListener("click", () => this.#call?.interrupt());
    find("mute").addEventListener("click", () => this.#mute(!this.#call?.muted));
    find("write").addEventListener("submit", (submitted) => this.#write(submitted));
    find("key-form").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#start(find("key").value.trim());
    });
    document.addEventListener("keydown", ({ key }) => key === "Escape" && this.#call?.interrupt());
    this.#show("idle");
    this.#scope.draw(0);
  }

  #start(key = this.#key) {
    this.#key = key;
    this.#complain("");
    find("key-form").hidden = true;
    find("line").hidden = true;
    this.#packets = { at: 0, received: 0, lost: 0 };
    this.#transcript.clear();
    this.#scope.clear();
    this.#began = null;
    let call;
    try {
      call = this.#makeCall(key);
    } catch (problem) {
      return this.#complain(problem.message);
    }
    this.#call = call;
    const transcript = this.#transcript;
    call.on("state", ({ state }) => this.#become(state));
    call.on("transport", () => this.#showLine(call));
    call.on("started", () => this.#stands());
    call.on("agent", ({ name }) => this.#answers(name));
    call.on("transcript", (said) => transcript.said(said, call.received, call.transport === "webrtc"));
    call.on("playing", ({ item_id: id, after }) => transcript.playing(id, call.played, after));
    call.on("played", ({ item_id: id }) => transcript.played(id));
    call.on("tool", (tool) => transcript.tool(tool));
    call.on("interrupted", () => this.#scope.mark(performance.now() - this.#began));
    call.on("guardrail", () => transcript.alert("This answer was stopped."));
    call.on("error", (problem) => transcript.alert(problem.message));
    call.on("ended", ({ error }) => this.#ended(error));
    // What goes wrong is told by `ended`.
    call.start().catch(() => {});
  }

  #write(submitted) {
    submitted.preventDefault();
    const text = find("words").value.trim();
    if (!text || !this.#call) return;
    try {
      this.#call.say(text);
    } catch (problem) {
      return this.#transcript.alert(problem.message);
    }
    this.#transcript.wrote(text);
    find("words").value = "";
  }

  #stands() {
    if (this.#began !== null) return;
    this.#began = performance.now();
    find("announced").textContent = "connected";
    this.#awake.keep(true);
    requestAnimationFrame(() => this.#tick(this.#call));
  }

  #answers(name) {
    if (this.#agent !== null && this.#agent !== name) this.#transcript.handoff(name);
    this.#agent = name;
    this.#transcript.agent = name;
    find("title").textContent = name;
  }

  #become(state) {
    if (state === "ended") return;
    if (state === "hearing") this.#transcript.hearing();
    this.#show(state);
  }

  #tick(call) {
    if (!call || this.#call !== call) return;
    const at = performance.now() - this.#began;
    const { microphone, loudspeaker } = call.levels;
    fill("mic-level", microphone);
    fill("agent-level", loudspeaker);
    this.#presence.show(microphone, loudspeaker);
    this.#scope.add(at, microphone, loudspeaker);
    this.#scope.draw(at);
    if (performance.now() - this.#packets.at > FIGURES_MS) this.#showLine(call);
    this.#transcript.advance(call.played, call.received);
    const stops = ["speaking", "thinking"].includes(this.#state) || call.received - call.played > OVER_SOON;
    find("stop").disabled = !stops;
    const seconds = Math.floor(at / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (find("clock").textContent !== clock) find("clock").textContent = clock;
    requestAnimationFrame(() => this.#tick(call));
  }

  // What carries the call, and how the network does where that is known.
  #showLine(call) {
    const name = TRANSPORTS[call.transport];
    find("line").hidden = !name;
    if (!name) return;
    const told = [name];
    const { roundTrip, packetsReceived: received, packetsLost: lost } = call.network ?? {};
    if (Number.isFinite(roundTrip)) told.push(`${Math.max(1, Math.round(roundTrip * 1000))} ms`);
    const share = (lost - this.#packets.lost) / (received + lost - this.#packets.received - this.#packets.lost);
    if (share > MUCH_LOST) told.push(`${Math.round(share * 100)} % lost`);
    this.#packets = { at: performance.now(), received: received ?? 0, lost: lost ?? 0 };
    const text = told.join(" · ");
    if (find("line").textContent !== text) find("line").textContent = text;
    find("line").title = call.fallback ? `Not WebRTC: ${call.fallback.message}` : "";
  }

  #show(state) {
    this.#state = state;
    document.body.dataset.state = state;
    find("state").lastElementChild.textContent = STATES[state] ?? state;
    if (ANNOUNCED.includes(state)) find("announced").textContent = STATES[state];
    const inCall = !OVER.includes(state);
    const talking = inCall && state !== "connecting";
    document.body.classList.toggle("in-call", inCall);
    find("call").lastElementChild.textContent = talking ? "Hang up" : inCall ? "Cancel" : "Call";
    find("mute").disabled = !talking;
    find("stop").disabled = !["speaking", "thinking"].includes(state);
    for (const control of find("write").elements) control.disabled = !talking || state === "reconnecting";
  }

  #mute(muted) {
    if (this.#call) this.#call.muted = muted;
    find("mute").setAttribute("aria-pressed", String(muted));
    find("mute").lastElementChild.textContent = muted ? "Muted" : "Mute";
  }

  #complain(text) {
    find("problem").textContent = text;
    find("problem").hidden = !text;
  }

  #ended(error) {
    const stood = this.#began !== null;
    const asked = error && this.#keyAsked(error);
    this.#call = null;
    this.#agent = null;
    this.#awake.keep(false);
    this.#transcript.end();
    for (const meter of ["mic-level", "agent-level"]) fill(meter, 0);
    this.#presence.rest();
    this.#mute(false);
    this.#show(error ? (stood ? "lost" : "failed") : "ended");
    this.#complain(error?.message ?? "");
    find("key-form").hidden = !asked;
    if (asked) find("key-form").firstElementChild.textContent = asked;
  }
}
