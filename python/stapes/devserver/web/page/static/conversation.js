// What the events of a realtime server mean for the page: who speaks, what is said, which tools run.

import * as agent from "./agent.js";

/** The dialect of a WebRTCCarrier; one for each call. */
export class Conversation {
  #line = null;
  #texts = new Map();
  #spokenItems = new Map();
  #response = null;
  #playing = null;
  #stoppedAt = null;
  #hearing = false;
  #callsWaiting = 0;

  outgoing(message) {
    switch (message.type) {
      case "interrupt":
        return this.#interruption();
      case "say": {
        const content = [{ type: "input_text", text: message.text }];
        const item = { type: "message", role: "user", content };
        this.#stoppedAt = null;
        return [...this.#interruption(), { type: "conversation.item.create", item }, { type: "response.create" }];
      }
      default:
        return [message.data];
    }
  }

  incoming(event, line, carrier) {
    this.#line = line;
    switch (event.type) {
      case "session.created":
        this.#become("listening");
        break;
      case "input_audio_buffer.speech_started":
        this.#hearing = true;
        this.#become("hearing");
        this.#said("user", event.item_id, "");
        break;
      case "input_audio_buffer.speech_stopped":
        this.#hearing = false;
        this.#stoppedAt = performance.now() - agent.silence;
        this.#become("thinking");
        break;
      case "conversation.item.input_audio_transcription.delta":
        this.#said("user", event.item_id, (this.#texts.get(event.item_id) ?? "") + event.delta);
        break;
      case "conversation.item.input_audio_transcription.completed":
        this.#said("user", event.item_id, event.transcript, true);
        break;
      case "conversation.item.input_audio_transcription.failed":
        this.#said("user", event.item_id, "", true);
        break;
      case "response.created":
        this.#response = event.response.id;
        if (this.#playing === null) this.#become("thinking");
        break;
      case "response.content_part.added":
        if (event.part.type === "audio") this.#spokenItems.set(event.item_id, event.response_id);
        break;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.#said("assistant", event.item_id, (this.#texts.get(event.item_id) ?? "") + event.delta);
        break;
      case "response.output_item.done":
        if (event.item.type === "function_call" && event.item.status === "completed") this.#call(event.item, carrier);
        break;
      case "response.done":
        this.#finished(event.response, carrier);
        break;
      case "output_audio_buffer.started":
        carrier.playing = true;
        this.#started(event.response_id);
        break;
      case "output_audio_buffer.stopped":
      case "output_audio_buffer.cleared":
        carrier.playing = false;
        this.#ended(event.response_id);
        break;
      case "conversation.item.truncated":
        this.#spokenItems.delete(event.item_id);
        line.event({ type: "interrupted" });
        tell(carrier, { type: "conversation.item.retrieve", item_id: event.item_id });
        break;
      case "conversation.item.retrieved":
        this.#said("assistant", event.item.id, event.item.content?.[0]?.transcript ?? "", true, true);
        break;
      case "error":
        // What was over before it could be interrupted needs no interruption.
        if (event.error.code !== "response_cancel_not_active") this.#failed(event.error.message);
        break;
    }
  }

  #interruption() {
    const events = [];
    if (this.#response !== null) events.push({ type: "response.cancel" });
    if (this.#playing !== null) events.push({ type: "output_audio_buffer.clear" });
    return events;
  }

  #become(state) {
    this.#line.event({ type: "state", state });
  }

  #failed(message) {
    this.#line.event({ type: "error", message });
  }

  #said(role, id, text, final = false, interrupted = false) {
    this.#texts.set(id, text);
    this.#line.event({ type: "transcript", role, item_id: id, text, final, interrupted });
  }

  #started(response) {
    this.#playing = response;
    let after = this.#stoppedAt === null ? null : (performance.now() - this.#stoppedAt) / 1000;
    for (const [item, of] of this.#spokenItems) {
      if (of !== response) continue;
      this.#line.event({ type: "playing", item_id: item, after });
      after = null;
    }
    this.#stoppedAt = null;
    this.#become("speaking");
  }

  #ended(response) {
    for (const [item, of] of this.#spokenItems) {
      if (of !== response) continue;
      this.#line.event({ type: "played", item_id: item });
      this.#spokenItems.delete(item);
    }
    if (this.#playing === response) this.#playing = null;
    if (!this.#hearing && this.#response === null) this.#become("listening");
  }

  #call({ call_id, name, arguments: given }, carrier) {
    this.#line.event({ type: "tool", call_id, name, arguments: given, status: "started" });
    const output = agent.run(name, given);
    this.#line.event({ type: "tool", call_id, name, output, status: "finished" });
    tell(carrier, { type: "conversation.item.create", item: { type: "function_call_output", call_id, output } });
    this.#callsWaiting += 1;
  }

  #finished(response, carrier) {
    if (this.#response === response.id) this.#response = null;
    const { status } = response;
    const speaks = [...this.#spokenItems.values()].includes(response.id);
    if (status === "failed") this.#failed(response.status_details.error.message);
    if (status === "completed" && this.#callsWaiting) tell(carrier, { type: "response.create" });
    else if (this.#playing === null && status !== "cancelled" && !speaks) this.#become("listening");
    this.#callsWaiting = 0;
  }
}

function tell(carrier, event) {
  carrier.send({ type: "message", data: event });
}
