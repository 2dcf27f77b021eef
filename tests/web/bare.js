// A page with nothing but stapes.js: what happens is kept, and what is played can be tapped.

import * as stapes from "./stapes.js";
window.stapes = stapes;
window.events = [];
const TYPES = "state started transcript tool agent interrupted guardrail message error ended";
window.dial = (options) => {
  window.call = new stapes.VoiceCall({ transport: "websocket", ...options });
  for (const type of TYPES.split(" ")) {
    call.on(type, (detail) => events.push({ at: type, ...detail, code: (detail.error ?? detail).code }));
  }
  window.transports = [];
  call.on("transport", ({ transport, fallback }) => transports.push([transport, fallback?.code ?? null]));
  return call.start();
};
window.failure = (promise) => promise.then(() => null, ({ name, code, message }) => ({ name, code, message }));
window.of = (type) => events.filter((event) => event.at === type);
// What is played, from the audio thread: the node of the loudspeaker is the last that was made.
const Node = window.AudioWorkletNode;
window.AudioWorkletNode = class extends Node {
  constructor(context, name, options) {
    super(context, name, options);
    if (name === "stapes-voice") window.voice = this;
    window.contexts = [...(window.contexts ?? []), context];
  }
};
window.tap = async (from = voice) => {
  await from.context.audioWorklet.addModule("./tap.js");
  const node = new Node(from.context, "tap");
  window.tapped = [];
  node.port.onmessage = ({ data }) => tapped.push(data);
  from.connect(node);
  node.connect(from.context.destination);
};
// What an element plays of a remote track, which is what is heard over WebRTC.
const Element = window.Audio;
window.Audio = class extends Element {
  constructor(...given) {
    super(...given);
    window.elements = [...(window.elements ?? []), this];
  }
};
window.tapRemote = () => {
  const context = new AudioContext({ sampleRate: 24000 });
  return tap(context.createMediaStreamSource(elements.at(-1).srcObject));
};
// Connections, so that they can be broken.
window.connections = [];
const Connection = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Connection {
  constructor(...given) {
    super(...given);
    connections.push(this);
  }
};
window.playedBack = () => {
  const bytes = new Uint8Array(tapped.reduce((sum, piece) => sum + piece.length * 4, 0));
  let at = 0;
  for (const piece of tapped) {
    bytes.set(new Uint8Array(piece.buffer), at);
    at += piece.length * 4;
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
};
window.tracks = [];
// A page that is not secure has none.
const devices = navigator.mediaDevices ?? {};
const open = devices.getUserMedia?.bind(devices);
devices.getUserMedia = async (constraints) => {
  window.asked = constraints;
  const stream = await open(constraints);
  window.tracks.push(...stream.getTracks());
  return stream;
};
window.ready = true;
