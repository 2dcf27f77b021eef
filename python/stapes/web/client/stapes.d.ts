// Types of stapes.js.

/** What went wrong, and what helps, in `message`. */
export class VoiceError extends Error {
  constructor(code: VoiceErrorCode, message: string, options?: { cause?: unknown; status?: number });
  readonly code: VoiceErrorCode;
  /** The HTTP status, where a server answered with one. */
  readonly status?: number;
}

export type VoiceErrorCode =
  /** The page is neither https nor localhost. */
  | "insecure"
  | "no-permission"
  | "no-microphone"
  | "microphone-busy"
  /** The sound device has a sample rate that the wire does not know; the browser or the server has no WebRTC. */
  | "unsupported"
  | "unreachable"
  /** The function that is to give a token failed, or gave none. */
  | "no-token"
  /** The server does not allow the page's origin or its token. */
  | "refused"
  /** The server has as many calls as it takes. */
  | "busy"
  /** The line broke, and could not be had again in time. */
  | "lost"
  /** The server closed the line. */
  | "closed"
  /** `end()` was called before the call stood. */
  | "ended"
  /** `start()` was called twice. */
  | "used"
  /** `say` or `send` while there is no line. */
  | "no-line"
  /** The server is further ahead than the page can hold, and sound was dropped. */
  | "full"
  /** The browser plays no sound before a click. */
  | "silent"
  /** The agent's side reports an error. */
  | "agent"
  | "failed";

export type VoiceState =
  | "idle"
  | "connecting"
  | "listening"
  | "hearing"
  | "thinking"
  | "speaking"
  | "reconnecting"
  | "ended";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** What carries a call. */
export type Transport = "webrtc" | "websocket";

/** How the network does, over WebRTC. Times are in seconds, the rest is counted from the beginning of the line. */
export interface NetworkFigures {
  /** To the server and back; null until it is known. */
  roundTrip: number | null;
  packetsSent: number;
  packetsReceived: number;
  /** Of the agent's voice. */
  packetsLost: number;
  /** How irregularly the voice's packets come. */
  jitter: number | null;
  /** How long they were held back lately, so that late ones find their place. */
  jitterBuffer: number | null;
}

export interface Transcript {
  type: "transcript";
  role: "user" | "assistant";
  item_id: string;
  /** All of it so far; of an answer that was cut, what was heard. */
  text: string;
  final: boolean;
  interrupted?: boolean;
}

export interface ToolStatus {
  type: "tool";
  call_id: string;
  name: string;
  /** `waiting`: for an approval. `failed`: what the tool raised is known to the server alone. */
  status: "started" | "finished" | "failed" | "waiting";
  /** Where the server shows them. */
  arguments?: Json;
  output?: Json;
}

/** The type of each event, and what its `detail` is. */
export interface VoiceCallEvents {
  state: { state: VoiceState };
  /** What carries the call from now on. `fallback`: why it is not WebRTC, where that was tried. */
  transport: { transport: Transport; fallback: VoiceError | null };
  /** The line stands; `resumed`: again, and it is the same call. */
  started: { resumed: boolean };
  transcript: Transcript;
  tool: ToolStatus;
  /** Who answers: at the beginning, and after a handoff. */
  agent: { type: "agent"; name: string };
  /** The answer was cut. */
  interrupted: { type: "interrupted" };
  /** An answer was stopped by a guardrail. */
  guardrail: { type: "guardrail" };
  /** Data of the application. */
  message: Json;
  /** Something failed, and the call goes on. */
  error: VoiceError;
  /** The last event. `error` is null where the call was ended in order. */
  ended: { reason: string; error: VoiceError | null };
}

export interface VoiceCallOptions extends WebSocketCarrierOptions {
  /**
   * `auto`: WebRTC, and a WebSocket where the browser or the server has none, where the offer is not answered within 5 s or
   * nothing connects within 3 s of the answer, and where a broken line can be restored over it only. Where nothing connected,
   * the calls of the tab begin with the WebSocket for five minutes. Default: `auto`.
   */
  transport?: "auto" | Transport;
  /** STUN and TURN servers of the page's. Default: none; a server that can be reached needs none. */
  iceServers?: RTCIceServer[];
  /** Another line than these; the options of the lines have no meaning then. */
  carrier?: Carrier;
  /** Names and values that the application gets with the call. Default: none. */
  parameters?: Record<string, string>;
  /**
   * The one-time token of a server that wants one (`tokens=`), or a function that returns or promises it. It is called once,
   * when the microphone is there. The token goes with the first message of the line, whatever carries the call, and in no
   * URL; it is the parameter `stapes_token`. Default: none.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * Constraints of the microphone, such as `{ deviceId }`. Echo cancellation, noise suppression and gain control are on
   * unless they say otherwise.
   */
  microphone?: MediaTrackConstraints;
}

export class VoiceCall extends EventTarget {
  constructor(options?: VoiceCallOptions);
  /** Opens the microphone and the line; rejects with a VoiceError. Call it from a click. */
  start(): Promise<void>;
  readonly state: VoiceState;
  /** The name of the agent that answers, when it is known. */
  readonly agent: string | null;
  /** Whether the agent does not hear the microphone. It may be set at any time. */
  muted: boolean;
  /** How loud it is on either side now, from 0 (-50 dB) to 1 (-8 dB). */
  readonly levels: { microphone: number; loudspeaker: number };
  /** Seconds of voice that the loudspeaker was given. */
  readonly played: number;
  /**
   * Seconds of voice that arrived, without what was dropped unheard; NaN where the carrier does not know. Over WebRTC it
   * comes as it is played, and the two are the same.
   */
  readonly received: number;
  /** How often the voice had to stop because the next sound was late; NaN over WebRTC, where browsers fill such gaps. */
  readonly underruns: number;
  /** What carries the call; null until it stands, and where a `carrier` does not tell. */
  readonly transport: Transport | null;
  /** Why that is not WebRTC, where WebRTC was tried. */
  readonly fallback: VoiceError | null;
  /** Renewed five times a second; null where it is not WebRTC that carries the call. */
  readonly network: NetworkFigures | null;
  /** Stops the agent, as speaking does. */
  interrupt(): void;
  /** Says something in writing, at most 4,000 characters. */
  say(text: string): void;
  /** Sends data to the application. */
  send(data: Json): void;
  /** Hangs up, whatever the state. */
  end(): void;
  /** Calls `heard` with the detail of each event of this type; returns what ends that. */
  on<T extends keyof VoiceCallEvents>(type: T, heard: (detail: VoiceCallEvents[T]) => void): () => void;
  addEventListener<T extends keyof VoiceCallEvents>(
    type: T,
    listener: (event: CustomEvent<VoiceCallEvents[T]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export interface WebSocketCarrierOptions {
  /** Where the server takes calls, relative to the page. Default: `talk`. */
  url?: string | URL;
  /** `opus` (a tenth of the bytes) falls back to `pcm` where the browser has no WebCodecs. Default: `pcm`. */
  codec?: "pcm" | "opus";
  /** For how many seconds a line that broke is dialled again. Default: 5, which is how long the server waits. */
  reconnect?: number;
  /** Where worklet.js is, for pages that are built by a bundler which moves files. Default: beside stapes.js. */
  worklet?: string | URL;
}

/** A line of `stapes serve`, of `@calls.browser` and of `BrowserCall`, whatever the `transport`. */
export class WebSocketCarrier implements Carrier {
  constructor(options?: WebSocketCarrierOptions);
  readonly transport: "websocket";
  readonly played: number;
  readonly received: number;
  readonly underruns: number;
  muted: boolean;
  prepare(): Promise<number | undefined>;
  open(call: CarrierCall): Promise<void>;
  listen(stream: MediaStream, source: MediaStreamAudioSourceNode): void;
  send(message: PageMessage): boolean;
  close(): void;
}

/** What the page says besides sound. */
export type PageMessage =
  | { type: "interrupt" }
  | { type: "say"; text: string }
  | { type: "message"; data: Json };

/** What carries the sound and the events of one call. */
export interface Carrier {
  readonly played: number;
  readonly received: number;
  readonly underruns: number;
  readonly transport?: Transport | null;
  readonly fallback?: VoiceError | null;
  readonly network?: NetworkFigures | null;
  muted: boolean;
  /** Returns the sample rate that the AudioContext should have; undefined: the device's. */
  prepare(): Promise<number | undefined>;
  /** Resolves when the call stands. */
  open(call: CarrierCall): Promise<void>;
  /** Another microphone than before; it may come before `open` has resolved. */
  listen(stream: MediaStream, source: MediaStreamAudioSourceNode): void;
  /** False: there is no line now. */
  send(message: PageMessage): boolean;
  /** Ends the call, whatever the state. */
  close(): void;
}

/** What a carrier is given when it opens. */
export interface CarrierCall {
  context: AudioContext;
  stream: MediaStream;
  source: MediaStreamAudioSourceNode;
  parameters: Record<string, string>;
  line: Line;
  /** Of a WebSocketCarrier: the id of a call that another line carried before, and that it goes on. */
  callId?: string;
  resumes?: boolean;
  /** How long it may be dialled, in seconds. */
  seconds?: number;
}

/** What a carrier tells its call. */
export interface Line {
  transport(transport: Transport, fallback?: VoiceError | null): void;
  started(resumed: boolean): void;
  /** The node that plays the agent's voice, to be measured. */
  voice(node: AudioNode): void;
  /** A `state`, or an event of `VoiceCallEvents`. */
  event(event: { type: string } & Record<string, unknown>): void;
  message(data: Json): void;
  reconnecting(): void;
  /** The call goes on. */
  problem(error: VoiceError): void;
  ended(reason: string, error?: VoiceError | null): void;
}
