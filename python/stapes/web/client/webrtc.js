// Calls over WebRTC for stapes.js: the offer goes to a URL, events go over a data channel.

import { VoiceError } from "./errors.js";

const CHANNEL = "oai-events";
// Seconds.
const GATHERING = 1.5;
const CONNECTING = 15;

/** A carrier whose sound is the browser's own business: `new VoiceCall({ carrier: new WebRTCCarrier(...) })`. */
export class WebRTCCarrier {
  #url;
  #key;
  #session;
  #dialect;
  #connection = null;
  #channel = null;
  #sender = null;
  #location = null;
  #line = null;
  #voice = null;
  #over = false;
  #heard = 0;
  #playingSince = null;

  constructor({ url, key, session, dialect = null }) {
    this.#url = url;
    this.#key = key;
    this.#session = session;
    this.#dialect = dialect;
  }

  // By the clock: the browser does not say what it has played. The dialect tells when it plays.
  get played() {
    const running = this.#playingSince === null ? 0 : performance.now() - this.#playingSince;
    return (this.#heard + running) / 1000;
  }
  get received() { return NaN; }
  get underruns() { return 0; }
  // A muted track is silent; there is nothing else to do.
  muted = false;
  set playing(playing) {
    if (playing === (this.#playingSince !== null)) return;
    if (!playing) this.#heard = this.played * 1000;
    this.#playingSince = playing ? performance.now() : null;
  }

  async prepare() { return undefined; }

  async open({ context, stream, line }) {
    this.#line = line;
    const connection = (this.#connection = new RTCPeerConnection());
    const channel = (this.#channel = connection.createDataChannel(CHANNEL));
    const opened = new Promise((open) => (channel.onopen = open));
    this.#sender = connection.addTrack(stream.getAudioTracks()[0], stream);
    connection.ontrack = ({ track }) => this.#play(context, new MediaStream([track]));
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#end("lost", "The connection was lost. Is the network up?");
    };
    channel.onmessage = ({ data }) => this.#told(JSON.parse(data));
    channel.onclose = () => this.#end("closed", "The server has ended the call.");
    await connection.setLocalDescription();
    await this.#gathered();
    const form = new FormData();
    form.set("sdp", connection.localDescription.sdp);
    if (this.#session) form.set("session", JSON.stringify(this.#session));
    const answer = await this.#post(this.#url, form);
    this.#location = answer.headers.get("location");
    if (this.#over) return this.#hangUp();
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    const late = new Promise((_, fail) => {
      const why = "The server answered, but no connection came about. Is UDP blocked between here and there?";
      setTimeout(() => fail(new VoiceError("unreachable", why)), CONNECTING * 1000);
    });
    await Promise.race([opened, late]);
    line.started(false);
  }

  // Before it opens there is nothing to replace: it is opened with the latest.
  listen(stream) { this.#sender?.replaceTrack(stream.getAudioTracks()[0]); }

  send(message) {
    if (this.#channel?.readyState !== "open") return false;
    const events = this.#dialect ? this.#dialect.outgoing(message) : [message];
    for (const event of events) this.#channel.send(JSON.stringify(event));
    return true;
  }

  close() {
    if (this.#over) return;
    this.#over = true;
    this.playing = false;
    if (this.#location) this.#hangUp();
    this.#connection?.close();
    if (this.#voice) this.#voice.srcObject = null;
  }

  #told(message) {
    if (this.#dialect) return this.#dialect.incoming(message, this.#line, this);
    if (message.type === "event") this.#line.event(message.event);
    else if (message.type === "message") this.#line.message(message.data);
    else if (message.type === "end") this.#line.ended(message.reason);
  }

  // Chromium decodes what an element plays, and nothing else.
  #play(context, stream) {
    this.#voice = new Audio();
    this.#voice.srcObject = stream;
    this.#voice.play().catch((cause) => {
      this.#line.problem(new VoiceError("silent", "The browser plays no sound yet. Click on the page.", { cause }));
    });
    this.#line.voice(context.createMediaStreamSource(stream));
  }

  #end(reason, message) {
    if (!this.#over) this.#line.ended(reason, new VoiceError("lost", message));
  }

  #hangUp() { this.#post(`${this.#location}/hangup`).catch(() => {}); }

  #gathered() {
    const connection = this.#connection;
    if (connection.iceGatheringState === "complete") return null;
    return new Promise((done) => {
      setTimeout(done, GATHERING * 1000);
      connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && done();
    });
  }

  async #post(path, body) {
    const headers = this.#key ? { authorization: `Bearer ${this.#key}` } : {};
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers, body, keepalive: !body });
    } catch (cause) {
      throw new VoiceError("unreachable", "The server cannot be reached. Does it still run?", { cause });
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    const { status } = answer;
    const code = status === 401 || status === 403 ? "refused" : "failed";
    throw new VoiceError(code, error?.message ?? `The server answered ${status}.`, { status });
  }
}
