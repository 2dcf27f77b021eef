// A call over a WebSocket: sound in binary messages, played and recorded by worklet.js.

import { VoiceError, busy, ended, lost, overMeanwhile, refusedBy, wait } from "./errors.js";

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

function pcm16(samples) {
  const sound = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i += 1) {
    sound[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return sound;
}

/** The line of `stapes serve`, of `@calls.browser` and of `BrowserCall`. */
export class WebSocketCarrier {
  #url;
  #codec;
  #reconnect;
  #worklet;
  #start;
  #line;
  #source = null;
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

  get transport() { return "websocket"; }
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

  /** `callId` and `resumes`: it goes on with a call that another line carried before. */
  async open({ context, source, parameters, line, callId = crypto.randomUUID(), resumes = false, seconds = DIAL_TIMEOUT }) {
    this.#line = line;
    this.#source = source;
    this.#stood = resumes;
    this.#rate = context.sampleRate;
    if (!SAMPLE_RATES.includes(this.#rate)) {
      throw new VoiceError("unsupported", `The sound device runs at ${this.#rate} Hz. Set it to 48000 Hz, and call again.`);
    }
    if (this.#codec === "opus" && this.#rate !== OPUS_RATE) this.#withoutOpus(`the sound device runs at ${this.#rate} Hz`);
    const opus = this.#codec === "opus";
    this.#start = JSON.stringify({
      type: "start", call_id: callId, codec: this.#codec, sample_rate: this.#rate, parameters,
    });
    await context.audioWorklet.addModule(this.#worklet).catch((cause) => {
      throw new VoiceError("unreachable", `${this.#worklet} cannot be loaded. Is the network up, and is it served?`, { cause });
    });
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
    this.#source.connect(this.#node);
    line.voice(this.#node);
    await this.#dial(seconds);
  }

  // Until the audio thread is ready to take it, it is only kept.
  listen(_stream, source) {
    this.#source = source;
    if (this.#node) source.connect(this.#node);
  }

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
          taken();
          return this.#line.ended("lost", overMeanwhile());
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
    if (this.#over) return failed?.(ended());
    const error = this.#closed(code, stood);
    if (!stood) failed(error);
    else if (error.code === "lost") this.#redial();
    else this.#line.ended("closed", error.code === "closed" ? null : error);
  }

  #closed(code, stood) {
    const where = this.#url.host;
    switch (code) {
      case REFUSED:
        return refusedBy(where);
      case TOO_MANY_CALLS:
        return busy();
      case 1000:
        return new VoiceError("closed", "The server has closed the line.");
      default:
        if (stood) return lost(where);
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
