// One line of a call over WebRTC, to a server of stapes: sound over RTP, everything else over a data channel.
//
// The server paces the voice, and what it has sent counts as heard: nothing is cleared, marked or reported here.

import { VoiceError, busy, ended, lost, refusedBy } from "./errors.js";

const CHANNEL = "stapes";
// Seconds: how long addresses are gathered, and the first message is waited for; silence of the other side
// after which the line is given up; how often the browser is asked for its figures; how long a hang-up may take;
// how long at most the voice is played on that has arrived when the call is over.
const GATHERING = 0.25;
const STARTING = 5;
const DISCONNECTED = 2;
const FIGURES = 0.2;
const HANGING_UP = 1;
const UNHEARD = 0.5;
// Samples a second, of which the browser counts.
const RATE = 48000;
// Statuses of servers that know nothing of WebRTC.
const UNKNOWN = [400, 404, 405, 415, 426, 501];
// The codes that would close a WebSocket.
const REFUSED = 4403;
const TOO_MANY_CALLS = 1013;

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?)$/;

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return null;
  return new Promise((done) => {
    setTimeout(done, GATHERING * 1000);
    connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && done();
  });
}

export class WebRTCLine {
  #url;
  #iceServers;
  #start;
  #context;
  #stream;
  #on;
  #connection = null;
  #channel = null;
  #sender = null;
  #element = null;
  #location = null;
  #timers = new Set();
  #hasAsked = false;
  #stands = false;
  #closed = false;
  #settle = null;
  #played = 0;
  #network = null;
  #buffered = { delay: 0, emitted: 0 };

  // `on`: `message(message)` for what the server says, `voice(node)` when its voice can be measured,
  // `problem(error)`, and `broke()` when the line is gone and the call is not over.
  constructor({ url, iceServers, start, context, stream, on }) {
    this.#url = url;
    this.#iceServers = iceServers;
    this.#start = JSON.stringify({ type: "start", ...start });
    this.#context = context;
    this.#stream = stream;
    this.#on = on;
  }

  /** Seconds of voice that were played, as the browser has counted them last. */
  get played() { return this.#played; }

  get network() { return this.#network; }

  /** Whether the server was asked to take the call: it may have, even where it could not say so. */
  get hasAsked() { return this.#hasAsked; }

  /**
   * Resolves when the server has taken the call: whether it is one that stood before.
   * `answering` and `connecting`: how many seconds an answer, and then a connection, may take.
   */
  async open({ answering, connecting }) {
    if (!globalThis.RTCPeerConnection) throw new VoiceError("unsupported", "This browser has no WebRTC.");
    const connection = (this.#connection = new RTCPeerConnection({ iceServers: this.#iceServers }));
    const started = new Promise((done, fail) => (this.#settle = { done, fail }));
    // It may fail before anybody waits for it.
    started.catch(() => {});
    connection.ontrack = ({ track }) => this.#play(new MediaStream([track]));
    connection.onconnectionstatechange = () => this.#changed(connection.connectionState);
    this.#sender = connection.addTransceiver(this.#stream.getAudioTracks()[0], { streams: [this.#stream] }).sender;
    const channel = (this.#channel = connection.createDataChannel(CHANNEL));
    const opened = new Promise((open) => (channel.onopen = open));
    channel.onmessage = ({ data }) => this.#told(JSON.parse(data));
    channel.onclose = () => this.#broke();
    await connection.setLocalDescription();
    await gathered(connection);
    if (this.#closed) throw ended();
    const answer = await this.#post(connection.localDescription.sdp, answering);
    if (this.#closed) {
      this.#hangUp();
      throw ended();
    }
    const sdp = await answer.text();
    if (!this.#leadsHere(sdp)) {
      const why = `The server at ${this.#url.host} names no address that leads to it: behind a proxy it needs local_addresses.`;
      throw new VoiceError("unsupported", why);
    }
    await connection.setRemoteDescription({ type: "answer", sdp });
    const why = "The server answered, and no connection came about. Is UDP blocked between here and there?";
    this.#after(connecting, () => channel.readyState === "open" || this.#settle.fail(new VoiceError("unreachable", why)));
    await Promise.race([opened, started]);
    this.#hasAsked = true;
    channel.send(this.#start);
    this.#after(STARTING, () => this.#settle.fail(new VoiceError("unreachable", "The server does not take the call.")));
    const resumed = await started;
    this.#follow();
    return resumed;
  }

  listen(stream) {
    this.#stream = stream;
    this.#sender?.replaceTrack(stream.getAudioTracks()[0]);
  }

  send(message) {
    if (!this.#stands) return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /** Nothing is sent or played any more; the server may go on waiting for it. */
  fallSilent() {
    this.#stands = false;
    this.#sender?.replaceTrack(null).catch(() => {});
    this.#stop();
  }

  /** Ends it. `hangsUp`: the server is told that the call is over. */
  close({ hangsUp = false } = {}) {
    if (this.#closed) return;
    this.#closed = true;
    this.#stands = false;
    this.#stop();
    this.#settle?.fail(ended());
    const connection = this.#connection;
    if (!hangsUp || !this.#location) return connection?.close();
    // What closes first would be all that the server gets.
    Promise.race([this.#hangUp(), new Promise((late) => setTimeout(late, HANGING_UP * 1000))]).then(() => connection.close());
  }

  #stop() {
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#channel) this.#channel.onclose = this.#channel.onmessage = null;
    if (this.#connection) this.#connection.onconnectionstatechange = this.#connection.ontrack = null;
    if (this.#element) this.#element.srcObject = null;
    this.#element = null;
    // No other microphone is sent over it.
    this.#sender = null;
  }

  #after(seconds, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, seconds * 1000);
    this.#timers.add(timer);
  }

  async #post(sdp, seconds) {
    const { host, pathname } = this.#url;
    let answer;
    try {
      const headers = { "content-type": "application/sdp" };
      answer = await fetch(this.#url, { method: "POST", headers, body: sdp, signal: AbortSignal.timeout(seconds * 1000) });
    } catch (cause) {
      throw new VoiceError("unreachable", `The server at ${host} does not answer an offer of WebRTC.`, { cause });
    }
    const { status } = answer;
    if (status === 201) {
      const location = answer.headers.get("location");
      if (location) this.#location = new URL(location, answer.url);
      return answer;
    }
    if (status === 401 || status === 403) throw refusedBy(host);
    if (status === 503) throw busy();
    if (UNKNOWN.includes(status)) {
      throw new VoiceError("unsupported", `The server at ${host} takes no calls over WebRTC at ${pathname}.`, { status });
    }
    const said = (await answer.text().catch(() => "")).trim() || "nothing";
    throw new VoiceError("failed", `The server at ${host} answered the offer of WebRTC with ${status}: ${said}.`, { status });
  }

  // A server behind a proxy may know itself by its loopback address alone.
  #leadsHere(sdp) {
    const addresses = [...sdp.matchAll(/^a=candidate:\S+ \d+ \S+ \d+ (\S+)/gm)].map(([, address]) => address);
    return LOOPBACK.test(this.#url.hostname) || !addresses.every((address) => LOOPBACK.test(address));
  }

  #hangUp() {
    if (!this.#location) return null;
    return fetch(this.#location, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  #told(message) {
    if (message.type === "started") {
      this.#stands = true;
      return this.#settle.done(message.resumed);
    }
    const refusal = { [REFUSED]: refusedBy(this.#url.host), [TOO_MANY_CALLS]: busy() }[message.code];
    if (message.type === "end") {
      // Nobody waits for an answer to that, and the connection goes with it.
      const stood = this.#stands;
      this.#stands = false;
      this.#location = null;
      this.#settle.fail(refusal ?? new VoiceError("closed", `The server has ended the call: ${message.reason}.`));
      if (stood) return this.#after(this.#unheard, () => this.#over(message, refusal));
      return this.#over(message, refusal);
    }
    this.#on.message(message, refusal ?? null);
  }

  #over(message, refusal) {
    this.#stop();
    this.#on.message(message, refusal ?? null);
  }

  // Seconds of voice that the browser has and has not played: the last words are not to be cut.
  get #unheard() {
    const latency = this.#context.outputLatency || 0;
    return Math.min(UNHEARD, (this.#network?.jitterBuffer ?? 0) + latency);
  }

  #changed(state) {
    if (state === "failed") return this.#broke();
    if (state !== "disconnected") return;
    this.#after(DISCONNECTED, () => this.#connection.connectionState !== "connected" && this.#broke());
  }

  #broke() {
    const stood = this.#stands;
    this.#settle?.fail(new VoiceError("unreachable", lost(this.#url.host).message));
    if (!stood || this.#closed) return;
    this.fallSilent();
    this.#on.broke();
  }

  // A plain element plays it: that is what browsers cancel the echo of, and Chromium decodes nothing else.
  #play(stream) {
    const element = (this.#element = new Audio());
    element.srcObject = stream;
    const play = () => this.#element === element && element.play();
    play().catch((cause) => {
      if (this.#element !== element) return;
      this.#on.problem(new VoiceError("silent", "The browser plays no sound yet. Click on the page.", { cause }));
      for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, play, { once: true });
    });
    try {
      this.#on.voice(this.#context.createMediaStreamSource(stream));
    } catch {
      // A browser that mixes no sample rates: the voice plays, and its level is not shown.
    }
  }

  #follow() {
    this.#after(FIGURES, async () => {
      const report = await this.#connection.getStats().catch(() => null);
      if (!this.#stands) return;
      if (report) this.#count([...report.values()]);
      this.#follow();
    });
  }

  #count(figures) {
    const one = (type, holds = () => true) => figures.find((each) => each.type === type && holds(each)) ?? {};
    const isSound = ({ kind }) => kind === "audio";
    const voice = one("inbound-rtp", isSound);
    const pair = one("candidate-pair", ({ nominated, state }) => nominated && state === "succeeded");
    // What fills a pause or a loss was never sent; what was played faster or slower counts as it was sent.
    const samples =
      (voice.totalSamplesReceived ?? 0) - (voice.concealedSamples ?? 0) +
      (voice.removedSamplesForAcceleration ?? 0) - (voice.insertedSamplesForDeceleration ?? 0);
    this.#played = Math.max(this.#played, samples / RATE);
    const { jitterBufferDelay: delay = 0, jitterBufferEmittedCount: emitted = 0 } = voice;
    const since = { delay: delay - this.#buffered.delay, emitted: emitted - this.#buffered.emitted };
    this.#buffered = { delay, emitted };
    this.#network = {
      roundTrip: pair.currentRoundTripTime ?? this.#network?.roundTrip ?? null,
      packetsSent: one("outbound-rtp", isSound).packetsSent ?? 0,
      packetsReceived: voice.packetsReceived ?? 0,
      packetsLost: Math.max(0, voice.packetsLost ?? 0),
      jitter: voice.jitter ?? null,
      jitterBuffer: since.emitted > 0 ? since.delay / since.emitted : (this.#network?.jitterBuffer ?? null),
    };
  }
}
