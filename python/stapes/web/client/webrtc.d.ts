// Types of webrtc.js.

import type { Carrier, CarrierCall, Json, Line, PageMessage } from "./stapes.js";

/** Translates between the events of a server and what pages of stapes say. */
export interface Dialect {
  /** An event of the server: tells `line` what it means, and `carrier` when the voice plays. */
  incoming(event: Record<string, unknown>, line: Line, carrier: WebRTCCarrier): void;
  /** The events that say what the page wants to say. */
  outgoing(message: PageMessage): object[];
}

export interface WebRTCCarrierOptions {
  /** Where the offer is posted, as a form with `sdp` and `session`. */
  url: string | URL;
  /** Sent as a bearer token. Default: none. */
  key?: string;
  /** The configuration of a realtime session. Default: none. */
  session?: Json;
  /** Default: the server says on the data channel what it would say on the WebSocket. */
  dialect?: Dialect | null;
}

export class WebRTCCarrier implements Carrier {
  constructor(options: WebRTCCarrierOptions);
  readonly played: number;
  readonly received: number;
  readonly underruns: number;
  muted: boolean;
  /** Whether the agent's voice plays now; the dialect knows. */
  set playing(playing: boolean);
  prepare(): Promise<undefined>;
  open(call: CarrierCall): Promise<void>;
  listen(stream: MediaStream): void;
  send(message: PageMessage): boolean;
  close(): void;
}
