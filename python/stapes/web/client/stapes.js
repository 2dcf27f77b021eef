// A call from a web page to a voice agent: microphone, loudspeaker, events. See README.md.

import { AutoCarrier } from "./auto.js";
import { VoiceError, explained } from "./errors.js";

export { VoiceError } from "./errors.js";
export { WebSocketCarrier } from "./websocket.js";

// The parameter that a token is: stapes.calls.TOKEN_PARAMETER.
const TOKEN = "stapes_token";

function checkToken(token, parameters) {
  if (token !== null && !["string", "function"].includes(typeof token)) {
    throw new TypeError(`token is of type ${typeof token}: give a string, or a function that returns one or promises it`);
  }
  if (token !== null && TOKEN in parameters) {
    throw new TypeError(`token and parameters.${TOKEN} are the same: give one of them`);
  }
}

// How loud, as ears have it: -50 dB is 0, -8 dB is 1.
function loudness(analyser) {
  if (!analyser) return 0;
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  let power = 0;
  for (const sample of samples) power += sample * sample;
  return Math.min(1, Math.max(0, (10 * Math.log10(power / samples.length + 1e-10) + 50) / 42));
}

/** One call. Events: see `VoiceCallEvents` in stapes.d.ts; each has what it says in `detail`. */
export class VoiceCall extends EventTarget {
  #carrier;
  #parameters;
  #token;
  #constraints;
  #context = null;
  #stream = null;
  #source = null;
  #meters = {};
  #state = "idle";
  #muted = false;
  #agent = null;
  #listeners = new AbortController();

  constructor({ carrier, parameters = {}, token = null, microphone = {}, ...line } = {}) {
    super();
    checkToken(token, parameters);
    this.#token = token;
    this.#carrier = carrier ?? new AutoCarrier(line);
    this.#parameters = parameters;
    this.#constraints = microphone;
  }

  /** Opens the microphone and the line. Call it from a click: browsers play no sound before one. */
  async start() {
    if (this.#state !== "idle") throw new VoiceError("used", "A VoiceCall is for one call. Make a new one.");
    this.#become("connecting");
    const signal = this.#listeners.signal;
    const ended = new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
    try {
      await Promise.race([this.#open(), ended]);
    } catch (problem) {
      const error = explained(problem);
      this.#finish("failed", error);
      throw error;
    }
  }

  get state() { return this.#state; }
  /** The name of the agent that answers, when it is known. */
  get agent() { return this.#agent; }
  /** Seconds of voice that the loudspeaker was given. */
  get played() { return this.#carrier.played; }
  /** Seconds of voice that arrived, without what was dropped unheard. */
  get received() { return this.#carrier.received; }
  /** How often the voice had to stop because the next sound was late. */
  get underruns() { return this.#carrier.underruns; }
  /** What carries the call: `webrtc` or `websocket`; null until it stands. */
  get transport() { return this.#carrier.transport ?? null; }
  /** Why it is not WebRTC, where that was tried: a VoiceError, or null. */
  get fallback() { return this.#carrier.fallback ?? null; }
  /** How the network does, over WebRTC; null elsewhere. */
  get network() { return this.#carrier.network ?? null; }
  /** How loud it is on either side now, from 0 to 1. */
  get levels() {
    return { microphone: loudness(this.#meters.microphone), loudspeaker: loudness(this.#meters.loudspeaker) };
  }
  get muted() { return this.#muted; }
  set muted(muted) {
    this.#muted = Boolean(muted);
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !this.#muted;
    this.#carrier.muted = this.#muted;
  }

  /** Stops the agent, as speaking does. */
  interrupt() { this.#carrier.send({ type: "interrupt" }); }
  /** Says something in writing. */
  say(text) { this.#send({ type: "say", text }); }
  /** Sends data (JSON) to the application. */
  send(data) { this.#send({ type: "message", data }); }
  /** Hangs up, whatever the state. */
  end() { this.#finish("hung up"); }

  /** Calls `heard(detail)` at each event of this type; returns what ends that. */
  on(type, heard) {
    const listener = ({ detail }) => heard(detail);
    this.addEventListener(type, listener);
    return () => this.removeEventListener(type, listener);
  }

  #send(message) {
    if (this.#carrier.send(message)) return;
    throw new VoiceError("no-line", `Nothing can be said while the call is ${this.#state}. Wait until it stands.`);
  }

  async #open() {
    if (!globalThis.isSecureContext || !navigator.mediaDevices) {
      throw new VoiceError("insecure", "Browsers give the microphone to secure pages only. Open the page by https, or on localhost.");
    }
    this.#context = this.#newContext(await this.#carrier.prepare());
    await this.#listen();
    const signal = this.#listeners.signal;
    const awake = () => this.#state !== "ended" && this.#context.resume().catch(() => {});
    for (const gesture of ["pointerdown", "keydown", "visibilitychange"]) document.addEventListener(gesture, awake, { signal });
    addEventListener("pagehide", () => this.end(), { signal });
    awake();
    const parameters = await this.#withToken();
    this.#goOn();
    await this.#carrier.open({
      context: this.#context,
      source: this.#source,
      stream: this.#stream,
      parameters,
      line: {
        transport: (transport, fallback = null) => this.#emit("transport", { transport, fallback }),
        started: (resumed) => {
          this.#emit("started", { resumed });
          if (this.#state === "reconnecting") this.#become("listening");
        },
        voice: (node) => (this.#meters.loudspeaker = this.#meter(node)),
        event: (event) => this.#told(event),
        message: (data) => this.#emit("message", data),
        reconnecting: () => this.#become("reconnecting"),
        problem: (error) => this.#emit("error", error),
        ended: (reason, error) => this.#finish(reason, error),
      },
    });
    this.#goOn();
    this.muted = this.#muted;
    if (this.#state === "connecting") this.#become("listening");
  }

  // It is good for a short time: it is asked for when the visitor has allowed the microphone, and not before.
  async #withToken() {
    if (this.#token === null) return this.#parameters;
    let token = this.#token;
    try {
      if (typeof token === "function") token = await token();
    } catch (cause) {
      throw new VoiceError("no-token", `The call has no token: ${cause?.message ?? cause}`, { cause });
    }
    // What else it is may be a secret: it is not shown.
    if (typeof token !== "string" || !token) {
      throw new VoiceError("no-token", "The call has no token: what `token` gave is no text, or is empty.");
    }
    return { ...this.#parameters, [TOKEN]: token };
  }

  #newContext(sampleRate) {
    const context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    context.resume().catch(() => {});
    return context;
  }

  async #listen() {
    const usual = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...usual, ...this.#constraints } });
    const tracks = stream.getAudioTracks();
    if (this.#state === "ended") for (const track of tracks) track.stop();
    this.#goOn();
    this.#stream = stream;
    for (const track of tracks) {
      track.enabled = !this.#muted;
      track.onended = () => this.#unplugged();
    }
    try {
      this.#source = this.#context.createMediaStreamSource(stream);
    } catch (problem) {
      // Firefox feeds a microphone into nothing but a context of the microphone's own rate.
      if (this.#source) throw problem;
      this.#context.close();
      this.#context = this.#newContext();
      this.#source = this.#context.createMediaStreamSource(stream);
    }
    this.#meters.microphone = this.#meter(this.#source);
  }

  // The call goes on with another microphone, as soon as there is one.
  async #unplugged() {
    if (this.#state === "ended") return;
    this.#source.disconnect();
    try {
      await this.#listen();
      this.#carrier.listen(this.#stream, this.#source);
    } catch (problem) {
      if (this.#state === "ended") return;
      const message = "The microphone is gone. Connect one: until then the call goes on, and you are not heard.";
      this.#emit("error", new VoiceError("no-microphone", message, { cause: problem }));
      const again = { once: true, signal: this.#listeners.signal };
      navigator.mediaDevices.addEventListener("devicechange", () => this.#unplugged(), again);
    }
  }

  #meter(node) {
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    node.connect(analyser);
    return analyser;
  }

  #goOn() {
    if (this.#state === "ended") throw this.#listeners.signal.reason;
  }

  #told(event) {
    if (event.type === "state") this.#become(event.state);
    else if (event.type === "error") this.#emit("error", new VoiceError("agent", event.message));
    else {
      if (event.type === "agent") this.#agent = event.name;
      this.#emit(event.type, event);
    }
  }

  #become(state) {
    if (this.#state === state || this.#state === "ended") return;
    this.#state = state;
    this.#emit("state", { state });
  }

  #finish(reason, error = null) {
    if (this.#state === "ended") return;
    this.#become("ended");
    this.#listeners.abort(error ?? new VoiceError("ended", `The call was ended: ${reason}.`));
    this.#carrier.close();
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#meters = {};
    this.#context?.close().catch(() => {});
    this.#emit("ended", { reason, error });
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
