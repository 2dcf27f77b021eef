// The audio thread's part of stapes.js on a clock of its own: run by test_worklet.py, or `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

const RATE = 24000;
const QUANTUM = 128;
const FRAME = 960;
let Processor;
globalThis.sampleRate = RATE;
globalThis.currentTime = 0;
globalThis.AudioWorkletProcessor = class {
  port = { sent: [], postMessage: (message) => this.port.sent.push(message) };
};
globalThis.registerProcessor = (_, processor) => (Processor = processor);
await import("../../python/stapes/web/client/worklet.js");

// A loudspeaker and a microphone that are asked for 128 samples at a time.
class Device {
  #voice = new Processor({ processorOptions: { frame: FRAME } });
  played = [];

  tell(message) {
    this.#voice.port.onmessage({ data: message });
  }

  play(...samples) {
    this.tell({ type: "sound", sound: Int16Array.from(samples) });
  }

  // Runs for so many samples, at least; the microphone hears `heard`, or is not there.
  run(samples, heard = null) {
    let open = true;
    for (let done = 0; done < samples; done += QUANTUM) {
      const output = new Float32Array(QUANTUM);
      open = this.#voice.process([heard === null ? [] : [new Float32Array(QUANTUM).fill(heard)]], [[output]]);
      this.played.push(...output);
      globalThis.currentTime += QUANTUM / RATE;
    }
    return open;
  }

  get sent() {
    return this.#voice.port.sent;
  }

  get marks() {
    return this.sent.filter(({ type }) => type === "mark").map(({ id }) => id);
  }

  get last() {
    return this.sent.findLast(({ type }) => type === "frame");
  }
}

// Sound that begins and ends at rest.
const hump = (length, height = 8000) =>
  Array.from({ length }, (_, i) => Math.round(height * Math.sin((Math.PI * i) / (length - 1))));

function samplesOf(device) {
  const first = device.played.findIndex((sample) => sample !== 0);
  const last = device.played.findLastIndex((sample) => sample !== 0);
  return device.played.slice(first, last + 1).map((sample) => sample * 32768);
}

test("what comes is played sample by sample, and no other", () => {
  const device = new Device();
  const sound = hump(5000);
  for (let at = 0; at < sound.length; at += 700) device.play(...sound.slice(at, at + 700));
  device.run(8000);
  assert.deepEqual(samplesOf(device), sound.slice(1, -1));
  assert.deepEqual(device.last.header, [0, 5000]);
  assert.deepEqual(device.last.counts, { total: 5000, lost: 0, underruns: 0 });
});

test("a run waits for 60 ms in hand, and a short sound no longer than that", () => {
  const device = new Device();
  device.play(...hump(200));
  device.run(0.055 * RATE);
  assert.ok(device.played.every((sample) => sample === 0));
  device.run(0.03 * RATE);
  assert.deepEqual(device.last.header, [0, 200]);
});

test("marks are returned where their sound ends, and never before", () => {
  const device = new Device();
  device.tell({ type: "mark", id: 1 });
  device.run(QUANTUM);
  assert.deepEqual(device.marks, [1]);
  for (const id of [2, 3]) {
    device.play(...hump(2000));
    device.tell({ type: "mark", id });
  }
  for (let quantum = 0; quantum < 40; quantum += 1) {
    device.run(QUANTUM, 0.1);
    const played = device.last?.header[1] ?? 0;
    assert.ok(device.marks.length <= 1 + Math.floor((played + FRAME + QUANTUM) / 2000));
  }
  assert.deepEqual(device.marks, [1, 2, 3]);
});

test("a clear reports what was played, returns the marks in order, and counts anew", () => {
  const device = new Device();
  device.play(...hump(24000));
  for (const id of [5, 6]) device.tell({ type: "mark", id });
  device.run(6000);
  const before = device.sent.length;
  device.tell({ type: "clear", generation: 3 });
  const [old, , , fresh] = device.sent.slice(before);
  assert.equal(old.header[0], 0);
  assert.ok(old.header[1] > 4000 && old.header[1] <= 6144);
  assert.deepEqual(device.marks, [5, 6]);
  assert.deepEqual(fresh.header, [3, 0]);
  assert.equal(fresh.counts.lost, 24000 - old.header[1]);
  const steps = device.played.length;
  device.run(2000);
  assert.ok(device.played.slice(steps + 100).every((sample) => Math.abs(sample) < 1e-3));
});

test("nothing clicks: at a clear, a pause, a gap, and where sound begins with a step", () => {
  const device = new Device();
  const loud = Array.from({ length: 9000 }, (_, i) => Math.round(16000 * Math.cos((Math.PI * i) / 60)));
  device.play(...loud);
  device.run(3000);
  device.tell({ type: "pause" });
  device.run(1000);
  device.tell({ type: "resume" });
  device.run(3000);
  device.tell({ type: "clear", generation: 1 });
  device.play(...loud.slice(0, 3333));
  device.run(9000);
  const steps = device.played.slice(1).map((sample, i) => Math.abs(sample - device.played[i]));
  // The tone itself has steps of 0.026, and a fade of at most its height begins with 0.067.
  assert.ok(Math.max(...steps) < 0.1, `${Math.max(...steps)}`);
});

test("a pause holds what is played, and marks with it", () => {
  const device = new Device();
  device.play(...hump(4000));
  device.tell({ type: "mark", id: 1 });
  device.run(3000);
  device.tell({ type: "pause" });
  device.run(20000, 0.1);
  const [, stood] = device.last.header;
  assert.ok(stood < 4000);
  assert.deepEqual(device.marks, []);
  device.tell({ type: "resume" });
  device.run(3000, 0.1);
  assert.deepEqual(device.last.header, [0, 4000]);
  assert.deepEqual(device.marks, [1]);
  assert.equal(device.last.counts.underruns, 0);
});

test("a minute may wait, and what is beyond is dropped, said once and counted", () => {
  const device = new Device();
  const second = hump(RATE);
  for (let at = 0; at < 61; at += 1) device.play(...second);
  assert.equal(device.sent.filter(({ type }) => type === "full").length, 1);
  device.run(60 * RATE + 3000);
  assert.deepEqual(device.last.header, [0, 60 * RATE]);
  assert.deepEqual(device.last.counts, { total: 60 * RATE, lost: RATE, underruns: 0 });
  assert.deepEqual(samplesOf(device).slice(0, RATE - 2), second.slice(1, -1));
});

test("sound that is late is an underrun; a new answer and an end that was marked are none", () => {
  const device = new Device();
  const underruns = () => device.last.counts.underruns;
  device.play(...hump(3000));
  device.run(6000);
  device.play(...hump(3000));
  device.run(6000);
  assert.equal(underruns(), 1);
  device.run(RATE);
  device.play(...hump(3000));
  device.tell({ type: "mark", id: 1 });
  device.run(6000);
  device.play(...hump(3000));
  device.run(6000);
  assert.equal(underruns(), 1);
});

test("each frame of the microphone says how far playback is; without one, reports do", () => {
  const device = new Device();
  device.play(...hump(9600));
  device.run(4800, 0.25);
  const frames = device.sent.filter(({ sound }) => sound);
  assert.equal(frames.length, 5);
  assert.ok(frames.every(({ sound }) => sound.length === FRAME && sound.every((sample) => sample === 0.25)));
  device.tell({ type: "muted", muted: true });
  const before = device.sent.length;
  device.run(9600, 0.25);
  const reports = device.sent.slice(before);
  assert.ok(reports.every(({ sound }) => sound === null));
  assert.ok(reports.length >= 3 && reports.length <= 6, `${reports.length}`);
  assert.deepEqual(device.last.header, [0, 9600]);
  const idle = device.sent.length;
  device.run(RATE, 0.25);
  assert.equal(device.sent.length, idle);
});

test("a reset forgets marks, a pause and the generation", () => {
  const device = new Device();
  device.tell({ type: "clear", generation: 9 });
  device.tell({ type: "pause" });
  device.play(...hump(3000));
  device.tell({ type: "mark", id: 1 });
  device.tell({ type: "reset" });
  assert.deepEqual(device.last.header, [0, 0]);
  device.play(...hump(3000));
  device.run(6000);
  assert.deepEqual(device.last.header, [0, 3000]);
  assert.deepEqual(device.marks, []);
});

test("it runs until it is closed", () => {
  const device = new Device();
  assert.equal(device.run(QUANTUM), true);
  device.tell({ type: "close" });
  assert.equal(device.run(QUANTUM), false);
});
