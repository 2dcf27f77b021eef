// A call from a web page to a voice agent: microphone, loudspeaker, events. See README.md.

const PROTOCOL = "stapes.browser.v1";
const OPUS_RATE = 48000;
const SAMPLE_RATES = [8000, 16000, 24000, 44100, 48000];
const PROCESSOR = "stapes-voice";
// Seconds.
const DIAL_TIMEOUT = 15;
const RETRIES = [0.25, 0.5, 1, 2];
const STALLED = 2;
// Close codes of the server.
const REFUSED = 4403;
const TOO_MANY_CALLS = 1013;
const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Says in its message what went wrong and what helps; `code` is for programs. */
export class VoiceError extends Error {
  constructor(code, message, { cause, status } = {}) {
    super(message, { cause });
    this.name = "VoiceError";
    this.code = code;
    this.status = status;
  }
}

// What the browser says when there is no microphone to be had, in words that help.
const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["no-permission", "The browser may not use the microphone. Allow it for this page, and call again."],
  NotFoundError: ["no-microphone", "No microphone was found. Connect one, and call again."],
  NotReadableError: ["microphone-busy", "The microphone cannot be opened. Close what else uses it, and call again."],
};

function explained(problem) {
  if (problem instanceof VoiceError) return problem;
  const [code, message] = MICROPHONE_PROBLEMS[problem.name] ?? ["failed", `The call failed: ${problem.message}`];
  return new VoiceError(code, message, { cause: problem });
}

function pcm16(samples) {
  const sound = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i += 1) {
    sound[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return sound;
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
  #constraints;
  #context = null;
  #stream = null;
  #source = null;
  #meters = {};
  #state = "idle";
  #muted = false;
  #agent = null;
  #listeners = new AbortController();

  constructor({ url, codec, reconnect, worklet, carrier, parameters = {}, microphone = {} } = {}) {
    super();
    this.#carrier = carrier ?? new WebSocketCarrier({ url, codec, reconnect, worklet });
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
    await this.#carrier.open({
      context: this.#context,
      source: this.#source,
      stream: this.#stream,
      parameters: this.#parameters,
      line: {
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

/** The line of `stapes serve`, of `@calls.browser` and of `BrowserCall`. */
export class WebSocketCarrier {
  #url;
  #codec;
  #reconnect;
  #worklet;
  #start;
  #line;
  #node = null;
  #opus = null;
  #makeOpus = null;
  #socket = null;
  #stands = false;
  #stood = false;
  #muted = false;
  #over = false;
  #rate = 24000;
  #pushed = 0;
  #header = [0, 0];
  #counts = { total: 0, lost: 0, underruns: 0 };

  constructor({ url = "talk", codec = "pcm", reconnect = 5, worklet = new URL("./worklet.js", import.meta.url) } = {}) {
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#codec = codec;
    this.#reconnect = reconnect;
    this.#worklet = worklet;
  }

  get played() { return this.#counts.total / this.#rate; }
  get received() { return (this.#pushed - this.#counts.lost) / this.#rate; }
  get underruns() { return this.#counts.underruns; }
  get muted() { return this.#muted; }
  set muted(muted) {
    this.#muted = muted;
    this.#node?.port.postMessage({ type: "muted", muted });
  }

  async prepare() {
    if (this.#codec !== "opus") return 24000;
    const { Opus } = await import("./opus.js");
    this.#makeOpus = (send, play) => new Opus(send, play);
    if (await Opus.supported()) return OPUS_RATE;
    this.#withoutOpus("this browser has no codec for it");
    return 24000;
  }

  async open({ context, source, parameters, line }) {
    this.#line = line;
    this.#rate = context.sampleRate;
    if (!SAMPLE_RATES.includes(this.#rate)) {
      throw new VoiceError("unsupported", `The sound device runs at ${this.#rate} Hz. Set it to 48000 Hz, and call again.`);
    }
    if (this.#codec === "opus" && this.#rate !== OPUS_RATE) this.#withoutOpus(`the sound device runs at ${this.#rate} Hz`);
    const opus = this.#codec === "opus";
    this.#start = JSON.stringify({
      type: "start", call_id: crypto.randomUUID(), codec: this.#codec, sample_rate: this.#rate, parameters,
    });
    await context.audioWorklet.addModule(this.#worklet);
    if (this.#over) return;
    if (opus) this.#opus = this.#makeOpus((packet) => this.#transmit(packet), (item) => this.#toPlayback(item));
    this.#node = new AudioWorkletNode(context, PROCESSOR, {
      outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit",
      processorOptions: { frame: Math.round(this.#rate * (opus ? 0.02 : 0.04)) },
    });
    this.#node.port.onmessage = ({ data }) => this.#fromAudio(data);
    this.#node.onprocessorerror = () => line.ended("failed", new VoiceError("failed", "The browser's audio thread failed. Call again."));
    this.muted = this.#muted;
    this.#node.connect(context.destination);
    source.connect(this.#node);
    line.voice(this.#node);
    await this.#dial(DIAL_TIMEOUT);
  }

  listen(_stream, source) { source.connect(this.#node); }

  send(message) {
    if (this.#stands) this.#socket.send(JSON.stringify(message));
    return this.#stands;
  }

  close() {
    if (this.#over) return;
    this.#over = true;
    this.send({ type: "end" });
    this.#stands = false;
    this.#socket?.close(1000);
    this.#opus?.close();
    this.#node?.port.postMessage({ type: "close" });
    this.#node?.disconnect();
  }

  #withoutOpus(why) {
    console.info(`stapes: Opus is not used, because ${why}; the sound goes as PCM.`);
    this.#codec = "pcm";
  }

  // Resolves when the server has taken the call, or has taken it up again.
  #dial(seconds) {
    return new Promise((taken, failed) => {
      const socket = new WebSocket(this.#url, PROTOCOL);
      const late = setTimeout(() => this.#broke(1006, failed), seconds * 1000);
      this.#socket = socket;
      socket.binaryType = "arraybuffer";
      socket.onopen = () => socket.send(this.#start);
      socket.onclose = ({ code }) => {
        clearTimeout(late);
        this.#broke(code, failed);
      };
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") return this.#hear(data);
        const message = JSON.parse(data);
        if (message.type !== "started") return this.#told(message);
        clearTimeout(late);
        this.#stands = true;
        if (this.#stood && !message.resumed) {
          // Another call was begun in place of the one that is over.
          taken();
          const why = "The call was over before the line came back. Call again.";
          return this.#line.ended("lost", new VoiceError("lost", why));
        }
        this.#stood = true;
        this.#line.started(message.resumed);
        taken();
      };
    });
  }

  // The line is gone: before it stood (`failed` is told), or while it did.
  #broke(code, failed = null) {
    const stood = this.#stands;
    this.#stands = false;
    this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    if (this.#over) return failed?.(new VoiceError("ended", "The call was ended."));
    const error = this.#closed(code, stood);
    if (!stood) failed(error);
    else if (error.code === "lost") this.#redial();
    else this.#line.ended("closed", error.code === "closed" ? null : error);
  }

  #closed(code, stood) {
    const where = this.#url.host;
    switch (code) {
      case REFUSED:
        return new VoiceError("refused", `The server at ${where} refuses calls from this page: its origin or its token is not allowed.`);
      case TOO_MANY_CALLS:
        return new VoiceError("busy", "All lines are busy. Call again in a moment.");
      case 1000:
        return new VoiceError("closed", "The server has closed the line.");
      default:
        if (stood) return new VoiceError("lost", `The line to ${where} was lost. Is the network up, and the server?`);
        return new VoiceError("unreachable", `The server at ${where} takes no calls at ${this.#url.pathname}. Does it run, and does it allow this page?`);
    }
  }

  async #redial() {
    const latest = performance.now() + this.#reconnect * 1000;
    const left = () => (latest - performance.now()) / 1000;
    this.#opus?.clear();
    this.#toPlayback({ type: "reset" });
    this.#line.reconnecting();
    for (let tries = 0; left() > 0; tries += 1) {
      await wait(Math.min(RETRIES[Math.min(tries, RETRIES.length - 1)], Math.max(0, left())));
      if (this.#over) return;
      try {
        await this.#dial(Math.max(0.5, left()));
        return;
      } catch (problem) {
        if (this.#over) return;
        if (problem.code !== "unreachable") return this.#line.ended("closed", problem);
      }
    }
    this.#line.ended("lost", this.#closed(1006, true));
  }

  #told(message) {
    switch (message.type) {
      case "clear":
        this.#opus?.clear();
        return this.#toPlayback(message);
      case "mark":
        return this.#opus ? this.#opus.queue(message) : this.#toPlayback(message);
      case "pause":
      case "resume":
        return this.#toPlayback(message);
      case "event":
        return this.#line.event(message.event);
      case "message":
        return this.#line.message(message.data);
      case "end":
        // Nobody waits for an answer to that.
        this.#stands = false;
        return this.#line.ended(message.reason);
    }
  }

  #hear(bytes) {
    if (this.#opus) this.#opus.decode(bytes);
    else this.#toPlayback({ type: "sound", sound: new Int16Array(bytes, 0, bytes.byteLength >> 1) });
  }

  #toPlayback(item) {
    if (item.type === "sound") this.#pushed += item.sound.length;
    this.#node.port.postMessage(item, item.sound ? [item.sound.buffer] : []);
  }

  #fromAudio(data) {
    if (data.type === "mark") return this.send(data);
    if (data.type === "full") {
      const why = "More voice came than the page can hold, and some was dropped. The server must not be a minute ahead.";
      return this.#line.problem(new VoiceError("full", why));
    }
    this.#counts = data.counts;
    this.#header = data.header;
    if (!data.sound) this.#transmit();
    else if (this.#opus) this.#opus.encode(data.sound);
    else this.#transmit(pcm16(data.sound));
  }

  #transmit(sound = new Uint8Array(0)) {
    if (!this.#stands) return;
    // A line that takes nothing any more is a broken one, long before the browser says so.
    if (this.#socket.bufferedAmount > STALLED * this.#rate * (this.#opus ? 0.1 : 2)) return this.#broke(1006);
    const packet = new Uint8Array(8 + sound.byteLength);
    const view = new DataView(packet.buffer);
    view.setUint32(0, this.#header[0], true);
    view.setUint32(4, this.#header[1], true);
    packet.set(new Uint8Array(sound.buffer, sound.byteOffset, sound.byteLength), 8);
    this.#socket.send(packet);
  }
}
