// How loud a stream of sound is, from 0 to 1.

export class Level {
  #analyser;
  #source;
  #samples;

  constructor(context, stream) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  // Loudness as ears have it: -50 dB is nothing, -8 dB is all.
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let power = 0;
    for (const sample of this.#samples) power += sample * sample;
    const decibels = 10 * Math.log10(power / this.#samples.length + 1e-10);
    return Math.min(1, Math.max(0, (decibels + 50) / 42));
  }

  stop() {
    this.#source.disconnect();
  }
}
