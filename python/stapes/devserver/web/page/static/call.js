// One call over WebRTC: the microphone out, the agent's voice in, the events on a data channel.

const GATHERING_MS = 1500;
const CONNECTING_MS = 15000;

export class CallError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Call {
  #connection = new RTCPeerConnection();
  #channel = this.#connection.createDataChannel("oai-events");
  #location = null;
  #key;
  #over = false;

  // `on` has the callbacks `event(event)`, `voice(stream)` and `ended(problem)`.
  constructor(microphone, key, on) {
    this.microphone = microphone;
    this.#key = key;
    this.on = on;
    for (const track of microphone.getAudioTracks()) this.#connection.addTrack(track, microphone);
    this.#connection.ontrack = ({ track }) => on.voice(new MediaStream([track]));
    this.#connection.onconnectionstatechange = () => {
      if (this.#connection.connectionState === "failed") this.#end("The connection was lost.");
    };
    this.#channel.onmessage = ({ data }) => on.event(JSON.parse(data));
    this.#channel.onclose = () => this.#end("The server has ended the call.");
  }

  async connect(session) {
    const opened = new Promise((open) => (this.#channel.onopen = open));
    await this.#connection.setLocalDescription();
    await this.#gathered();
    const form = new FormData();
    form.set("sdp", this.#connection.localDescription.sdp);
    form.set("session", JSON.stringify(session));
    const answer = await this.#post("/v1/realtime/calls", form);
    this.#location = answer.headers.get("location");
    await this.#connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    const late = new Promise((_, fail) => {
      const why = "The server answered, but no connection came about. Is UDP blocked between here and there?";
      setTimeout(() => fail(new CallError(why)), CONNECTING_MS);
    });
    await Promise.race([opened, late]);
  }

  send(event) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(event));
  }

  set muted(muted) {
    for (const track of this.microphone.getAudioTracks()) track.enabled = !muted;
  }

  hangUp() {
    if (this.#location && !this.#over) this.#post(`${this.#location}/hangup`).catch(() => {});
    this.#end(null);
  }

  #end(problem) {
    if (this.#over) return;
    this.#over = true;
    this.#connection.close();
    for (const track of this.microphone.getTracks()) track.stop();
    this.on.ended(problem);
  }

  #gathered() {
    const connection = this.#connection;
    if (connection.iceGatheringState === "complete") return null;
    return new Promise((done) => {
      setTimeout(done, GATHERING_MS);
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState === "complete") done();
      };
    });
  }

  async #post(path, body) {
    const headers = { authorization: `Bearer ${this.#key}` };
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers, body, keepalive: !body });
    } catch {
      throw new CallError("The server cannot be reached. Does it still run?");
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw new CallError(error?.message ?? `The server answered ${answer.status}.`, answer.status);
  }
}
