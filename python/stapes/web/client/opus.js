// Opus for stapes.js by the browser's own codecs: loaded when a call asks for it.

const RATE = 48000;

/** Both ways of one call. What is to be played keeps its order: sound and marks. */
export class Opus {
  static #config = { codec: "opus", sampleRate: RATE, numberOfChannels: 1 };
  static #encoding = { ...Opus.#config, bitrate: 32000, opus: { frameDuration: 20000, application: "voip" } };

  static async supported() {
    if (!globalThis.AudioEncoder || !globalThis.AudioDecoder) return false;
    const asked = [AudioEncoder.isConfigSupported(Opus.#encoding), AudioDecoder.isConfigSupported(Opus.#config)];
    return (await Promise.all(asked).catch(() => [{}])).every(({ supported }) => supported);
  }

  #encoder;
  #decoder;
  #queued = [];
  #play;
  #at = 0;

  constructor(send, play) {
    this.#play = play;
    this.#encoder = new AudioEncoder({
      output(chunk) {
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        send(packet);
      },
      error: (problem) => console.error("stapes: the Opus encoder failed", problem),
    });
    this.#encoder.configure(Opus.#encoding);
    this.clear();
  }

  encode(data) {
    if (this.#encoder.state !== "configured") return;
    const numberOfFrames = data.length;
    const timestamp = (this.#at / RATE) * 1e6;
    this.#at += numberOfFrames;
    const sound = new AudioData({ format: "f32-planar", sampleRate: RATE, numberOfChannels: 1, numberOfFrames, timestamp, data });
    this.#encoder.encode(sound);
    sound.close();
  }

  decode(data) {
    if (this.#decoder.state !== "configured") this.clear();
    this.#queued.push(null);
    this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: 0, data }));
  }

  queue(mark) {
    this.#queued.push(mark);
    this.#playMarks();
  }

  // Drops what is not decoded yet. Marks go on their way: what waits no more for sound is returned.
  clear() {
    for (const mark of this.#queued) if (mark) this.#play(mark);
    this.#queued = [];
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    const decoder = new AudioDecoder({
      output: (decoded) => {
        const sound = new Float32Array(decoded.numberOfFrames);
        decoded.copyTo(sound, { planeIndex: 0, format: "f32-planar" });
        decoded.close();
        if (decoder !== this.#decoder) return;
        this.#queued.shift();
        this.#play({ type: "sound", sound });
        this.#playMarks();
      },
      error: (problem) => console.error("stapes: the Opus decoder failed", problem),
    });
    this.#decoder = decoder;
    decoder.configure(Opus.#config);
  }

  close() {
    for (const codec of [this.#encoder, this.#decoder]) if (codec.state !== "closed") codec.close();
  }

  #playMarks() {
    while (this.#queued[0]) this.#play(this.#queued.shift());
  }
}
