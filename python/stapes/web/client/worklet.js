// The loudspeaker and the microphone of a call, in the browser's audio thread.
//
// In: sound, mark, clear, reset, pause, resume, muted, close. Out: frames of the microphone, each with how far
// playback was then; marks when the sound before them was played.

// Seconds: what may wait to be played (answers come faster than they are spoken); what a run of sound has in
// hand when it begins; how often playback is reported while the microphone is silent; until when sound that
// comes after the last was played is taken to be late.
const MOST_QUEUED = 60;
const IN_HAND = 0.06;
const REPORT = 0.08;
const LATE = 0.3;

class VoiceProcessor extends AudioWorkletProcessor {
  // Positions are samples of this generation: what was played, and what arrived.
  #ring = new Float32Array(2 ** 17);
  #read = 0;
  #written = 0;
  #marks = [];
  #generation = 0;
  #counts = { total: 0, lost: 0, underruns: 0 };
  #running = false;
  #paused = false;
  #waited = 0;
  #dry = -Infinity;
  #full = false;
  // Where sound does not go on from what was played last, the difference fades away: no clicks.
  #broken = true;
  #last = 0;
  #step = 0;
  #fade = Math.exp(-1 / (0.0006 * sampleRate));
  #frame;
  #filled = 0;
  #muted = false;
  #reported = 0;
  #open = true;

  constructor({ processorOptions: { frame } }) {
    super();
    this.#frame = new Float32Array(frame);
    this.port.onmessage = ({ data }) => this.#obey(data);
  }

  process([input], [[output]]) {
    this.#play(output);
    this.#hear(input[0]);
    return this.#open;
  }

  #obey(message) {
    switch (message.type) {
      case "sound":
        return this.#write(message.sound);
      case "mark":
        return this.#marks.push({ id: message.id, at: this.#written });
      case "clear":
        // The last of this generation: how much of it was played.
        this.#report(null);
        this.#returnMarks(Infinity);
        return this.#drop(message.generation);
      case "reset":
        this.#marks = [];
        this.#paused = false;
        return this.#drop(0);
      case "pause":
      case "resume":
        this.#paused = message.type === "pause";
        return;
      case "muted":
        this.#muted = message.muted;
        return;
      case "close":
        this.#open = false;
    }
  }

  #write(sound) {
    const room = MOST_QUEUED * sampleRate - (this.#written - this.#read);
    const taken = Math.max(0, Math.min(sound.length, Math.floor(room)));
    this.#makeRoom(this.#written - this.#read + taken);
    const mask = this.#ring.length - 1;
    const scale = sound instanceof Int16Array ? 1 / 32768 : 1;
    for (let i = 0; i < taken; i += 1) this.#ring[(this.#written + i) & mask] = sound[i] * scale;
    this.#written += taken;
    this.#counts.lost += sound.length - taken;
    if (taken < sound.length && !this.#full) this.port.postMessage({ type: "full" });
    this.#full = taken < sound.length;
  }

  #makeRoom(size) {
    if (size <= this.#ring.length) return;
    const larger = new Float32Array(2 ** Math.ceil(Math.log2(size)));
    for (let at = this.#read; at < this.#written; at += 1) {
      larger[at & (larger.length - 1)] = this.#ring[at & (this.#ring.length - 1)];
    }
    this.#ring = larger;
  }

  #drop(generation) {
    this.#counts.lost += this.#written - this.#read;
    this.#generation = generation;
    this.#read = this.#written = this.#reported = 0;
    this.#running = false;
    this.#broken = true;
    this.#dry = -Infinity;
    this.#report(null);
  }

  // A run begins with a little in hand, so that the next piece may be late.
  #begins(queued, quantum) {
    this.#waited += quantum;
    if (Math.max(queued, this.#waited) < IN_HAND * sampleRate) return false;
    this.#waited = 0;
    if (currentTime - this.#dry < LATE) this.#counts.underruns += 1;
    return true;
  }

  #play(output) {
    const queued = this.#written - this.#read;
    if (!this.#running && queued > 0 && !this.#paused) this.#running = this.#begins(queued, output.length);
    const playing = this.#running && !this.#paused;
    const length = playing ? Math.min(queued, output.length) : 0;
    const mask = this.#ring.length - 1;
    for (let i = 0; i < output.length; i += 1) {
      const sample = i < length ? this.#ring[(this.#read + i) & mask] : 0;
      const joint = i === length || (i === 0 && this.#broken);
      this.#step = joint ? this.#last - sample : this.#step * this.#fade;
      if (Math.abs(this.#step) < 1e-5) this.#step = 0;
      output[i] = this.#last = sample + this.#step;
    }
    this.#broken = length < output.length;
    this.#read += length;
    this.#counts.total += length;
    if (playing && this.#broken) {
      this.#running = false;
      // What ends with a mark was meant to end there.
      this.#dry = this.#marks.at(-1)?.at === this.#read ? -Infinity : currentTime;
    }
    this.#returnMarks(this.#read);
  }

  #returnMarks(position) {
    while (this.#marks.length && this.#marks[0].at <= position) {
      this.port.postMessage({ type: "mark", id: this.#marks.shift().id });
    }
  }

  #hear(samples) {
    if (!samples || this.#muted) {
      this.#filled = 0;
      const unreported = this.#read - this.#reported;
      if (unreported >= (this.#running ? REPORT * sampleRate : 1)) this.#report(null);
      return;
    }
    for (const sample of samples) {
      this.#frame[this.#filled++] = sample;
      if (this.#filled < this.#frame.length) continue;
      this.#filled = 0;
      this.#report(this.#frame.slice());
    }
  }

  #report(sound) {
    this.#reported = this.#read;
    const header = [this.#generation, this.#read];
    this.port.postMessage({ type: "frame", sound, header, counts: this.#counts }, sound ? [sound.buffer] : []);
  }
}

registerProcessor("stapes-voice", VoiceProcessor);
