// What carries a call to a server of stapes: WebRTC where it can be had, else a WebSocket. A line that breaks is
// dialled again, as the same call.

import { VoiceError, ended, lost, overMeanwhile, wait } from "./errors.js";
import { WebRTCLine } from "./webrtc_line.js";
import { WebSocketCarrier } from "./websocket.js";

const TRANSPORTS = ["auto", "webrtc", "websocket"];
// Seconds: how long an answer and then a connection may take, at first and when a line is dialled again.
const FIRST = { answering: 5, connecting: 3 };
const AGAIN = { answering: 2, connecting: 1.5 };
const RETRIES = [0, 0.25, 0.5, 1];
// Milliseconds for which the calls of a tab begin without WebRTC where it did not get through.
const REMEMBERED = 5 * 60_000;
// What the server says whichever line it is asked by.
const FINAL = ["refused", "busy", "ended", "closed"];

// Whether WebRTC has got through to a host, as long as the tab remembers it.
class Reach {
  #key;

  constructor(host) { this.#key = `stapes: WebRTC does not reach ${host}`; }

  get isBlocked() {
    const age = Date.now() - Number(this.#storage?.getItem(this.#key) ?? 0);
    return age >= 0 && age < REMEMBERED;
  }

  learn(isBlocked) {
    try {
      if (isBlocked) this.#storage?.setItem(this.#key, Date.now());
      else this.#storage?.removeItem(this.#key);
    } catch {
      // It is full: the next call tries WebRTC again.
    }
  }

  // Some pages may keep nothing, and must not even ask.
  get #storage() {
    try {
      return globalThis.sessionStorage;
    } catch {
      return null;
    }
  }
}

export class AutoCarrier {
  #asked;
  #url;
  #reach;
  #iceServers;
  #reconnect;
  #options;
  #call = null;
  // A WebSocketCarrier that was not used yet.
  #prepared = null;
  #line = null;
  #dialled = null;
  // Lines that failed when the server may have taken the call over on them.
  #doubtful = new Set();
  #transport = null;
  #fallback = null;
  #muted = false;
  #over = false;
  // Seconds of the lines before this one.
  #before = { played: 0, received: 0 };

  constructor({ transport = "auto", url = "talk", iceServers = [], reconnect = 5, ...options } = {}) {
    if (!TRANSPORTS.includes(transport)) throw new TypeError(`transport is ${transport}: use ${TRANSPORTS.join(", ")}`);
    this.#asked = transport;
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("ws", "http");
    this.#reach = new Reach(this.#url.host);
    this.#iceServers = iceServers;
    this.#reconnect = reconnect;
    this.#options = { ...options, url, reconnect };
  }

  get transport() { return this.#transport; }
  get fallback() { return this.#fallback; }
  get network() { return this.#line?.network ?? null; }
  get played() { return this.#before.played + (this.#line?.played ?? 0); }
  // What is on its way over WebRTC is in the browser's hands, and soon played.
  get received() { return this.#before.received + (this.#line?.received ?? this.#line?.played ?? 0); }
  get underruns() { return this.#transport === "webrtc" ? NaN : (this.#line?.underruns ?? 0); }
  get muted() { return this.#muted; }
  set muted(muted) {
    this.#muted = muted;
    // A muted track is silent; over WebRTC there is nothing else to do.
    if (this.#line instanceof WebSocketCarrier) this.#line.muted = muted;
  }

  // Whatever carries the call in the end, a WebSocket may: the sample rate is the one that it needs.
  prepare() {
    this.#prepared = new WebSocketCarrier(this.#options);
    return this.#prepared.prepare();
  }

  async open(call) {
    this.#call = { ...call, callId: crypto.randomUUID() };
    if (this.#asked !== "websocket") {
      try {
        if (this.#asked === "auto" && this.#reach.isBlocked) throw this.#stillBlocked();
        await this.#dialWebRTC(FIRST);
        return this.#reach.learn(false);
      } catch (problem) {
        if (this.#asked === "webrtc" || this.#over || FINAL.includes(problem.code)) throw problem;
        this.#fallback = problem;
      }
    }
    await this.#dialWebSocket();
    // The server is there, so it is the way over UDP that is not.
    if (this.#fallback?.code === "unreachable" && !this.#reach.isBlocked) this.#reach.learn(true);
  }

  #stillBlocked() {
    return new VoiceError("unreachable", `WebRTC did not get through to ${this.#url.host} some minutes ago.`);
  }

  // A line that is being dialled already holds a microphone, too.
  listen(stream, source) {
    this.#call = { ...this.#call, stream, source };
    for (const line of new Set([this.#dialled, this.#line])) line?.listen(stream, source);
  }

  send(message) { return this.#line?.send(message) ?? false; }

  close() {
    if (this.#over) return;
    this.#over = true;
    // Only the server knows which of them has the call: of the others it takes no notice.
    const lines = new Set([this.#dialled, ...this.#doubtful, this.#line]);
    for (const line of lines) line?.close({ hangsUp: true });
  }

  async #dialWebRTC(patience, resumes = false) {
    const { callId: call_id, parameters, context, stream } = this.#call;
    const line = new WebRTCLine({
      url: this.#url,
      iceServers: this.#iceServers,
      start: { call_id, parameters },
      context,
      stream,
      on: {
        message: (message, refusal) => this.#told(message, refusal, line),
        voice: (node) => this.#call.line.voice(node),
        problem: (error) => this.#call.line.problem(error),
        broke: () => this.#redial(),
      },
    });
    this.#dialled = line;
    let resumed;
    try {
      resumed = await line.open(patience);
    } catch (problem) {
      this.#dialled = null;
      if (resumes && !this.#over && line.hasAsked) {
        // To hang up, or to close the connection, would end the call that the next line is to save.
        line.fallSilent();
        this.#doubtful.add(line);
      } else line.close({ hangsUp: true });
      throw problem;
    }
    if (this.#over) throw ended();
    if (resumes && !resumed) return this.#call.line.ended("lost", overMeanwhile());
    this.#adopt(line, "webrtc");
    this.#call.line.started(resumed);
  }

  async #dialWebSocket(more = {}) {
    const carrier = this.#prepared ?? new WebSocketCarrier(this.#options);
    if (!this.#prepared) await carrier.prepare();
    this.#prepared = null;
    carrier.muted = this.#muted;
    this.#dialled = carrier;
    // The call hears of the line before it hears anything over it.
    const stands = (resumed) => {
      if (this.#line !== carrier) this.#adopt(carrier, "websocket");
      this.#call.line.started(resumed);
    };
    try {
      await carrier.open({ ...this.#call, ...more, line: { ...this.#call.line, started: stands } });
    } catch (problem) {
      this.#dialled = null;
      carrier.close();
      throw problem;
    }
  }

  #adopt(line, transport) {
    this.#before = { played: this.played, received: this.received };
    // The server has let go of them.
    for (const each of [...this.#doubtful, this.#line]) each?.close();
    this.#doubtful.clear();
    this.#line = line;
    this.#dialled = null;
    if (transport === "webrtc") this.#fallback = null;
    this.#transport = transport;
    this.#call.line.transport(transport, this.#fallback);
  }

  async #redial() {
    const latest = performance.now() + this.#reconnect * 1000;
    const left = () => (latest - performance.now()) / 1000;
    this.#call.line.reconnecting();
    for (let tries = 0; left() > 0; tries += 1) {
      await wait(Math.min(RETRIES[Math.min(tries, RETRIES.length - 1)], Math.max(0, left())));
      if (this.#over) return;
      try {
        await this.#dialWebRTC(AGAIN, true);
        return;
      } catch (problem) {
        if (this.#over) return;
        if (problem.code === "refused") return this.#call.line.ended("closed", problem);
        this.#fallback = problem;
      }
      if (this.#asked === "webrtc") continue;
      try {
        await this.#dialWebSocket({ resumes: true, seconds: Math.max(0.5, left()) });
        return;
      } catch (problem) {
        if (this.#over) return;
        if (problem.code !== "unreachable") return this.#call.line.ended("closed", problem);
      }
    }
    this.#call.line.ended("lost", lost(this.#url.host));
  }

  #told(message, refusal, line) {
    if (line !== this.#line) return;
    if (message.type === "event") this.#call.line.event(message.event);
    else if (message.type === "message") this.#call.line.message(message.data);
    else if (message.type === "end") this.#call.line.ended(refusal ? "closed" : message.reason, refusal);
  }
}
