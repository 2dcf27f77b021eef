// What the events of a call mean for the page: who speaks, what is said, which tools run.

import * as agent from "./agent.js";

export class Conversation {
  #transcript;
  #send;
  #onState;
  #onInterrupted;
  #spokenItems = new Map();
  #response = null;
  #playing = null;
  #stoppedAt = null;
  #hearing = false;
  #callsWaiting = 0;

  // `send(event)` speaks to the server; `onState(name)` is told listening, hearing, thinking or speaking.
  constructor(transcript, { send, onState, onInterrupted }) {
    this.#transcript = transcript;
    this.#send = send;
    this.#onState = onState;
    this.#onInterrupted = onInterrupted;
  }

  get speaking() {
    return this.#playing !== null;
  }

  say(text) {
    this.interrupt();
    const id = `msg_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
    const content = [{ type: "input_text", text }];
    this.#send({ type: "conversation.item.create", item: { id, type: "message", role: "user", content } });
    this.#send({ type: "response.create" });
    this.#stoppedAt = null;
    this.#transcript.caller(id, text);
  }

  interrupt() {
    if (this.#response !== null) this.#send({ type: "response.cancel" });
    if (this.#playing !== null) this.#send({ type: "output_audio_buffer.clear" });
  }

  handle(event) {
    switch (event.type) {
      case "session.created":
        this.#onState("listening");
        break;
      case "input_audio_buffer.speech_started":
        this.#hearing = true;
        this.#transcript.caller(event.item_id);
        this.#onState("hearing");
        break;
      case "input_audio_buffer.speech_stopped":
        this.#hearing = false;
        this.#stoppedAt = performance.now() - agent.silence;
        this.#onState("thinking");
        break;
      case "conversation.item.input_audio_transcription.delta":
        this.#transcript.callerHeard(event.item_id, event.delta);
        break;
      case "conversation.item.input_audio_transcription.completed":
        this.#transcript.callerSaid(event.item_id, event.transcript);
        break;
      case "conversation.item.input_audio_transcription.failed":
        this.#transcript.callerSaid(event.item_id, "");
        break;
      case "response.created":
        this.#response = event.response.id;
        if (!this.speaking) this.#onState("thinking");
        break;
      case "response.content_part.added":
        if (event.part.type === "audio") this.#spokenItems.set(event.item_id, event.response_id);
        break;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.#transcript.agentSays(event.item_id, event.delta);
        break;
      case "response.output_item.done":
        if (event.item.type === "function_call" && event.item.status === "completed") this.#call(event.item);
        break;
      case "response.done":
        this.#finished(event.response);
        break;
      case "output_audio_buffer.started":
        this.#started(event.response_id);
        break;
      case "output_audio_buffer.stopped":
      case "output_audio_buffer.cleared":
        this.#ended(event);
        break;
      case "conversation.item.truncated":
        this.#spokenItems.delete(event.item_id);
        this.#onInterrupted();
        this.#send({ type: "conversation.item.retrieve", item_id: event.item_id });
        break;
      case "conversation.item.retrieved":
        this.#transcript.cut(event.item.id, event.item.content?.[0]?.transcript ?? "");
        break;
      case "error":
        // What was over before it could be interrupted needs no interruption.
        if (event.error.code !== "response_cancel_not_active") this.#transcript.alert(event.error.message);
        break;
    }
  }

  #started(response) {
    this.#playing = response;
    const now = performance.now();
    let after = this.#stoppedAt === null ? null : now - this.#stoppedAt;
    for (const [item, of] of this.#spokenItems) {
      if (of !== response) continue;
      this.#transcript.playing(item, now, after);
      after = null;
    }
    this.#stoppedAt = null;
    this.#onState("speaking");
  }

  #ended(event) {
    for (const [item, of] of this.#spokenItems) {
      if (of !== event.response_id) continue;
      this.#transcript.played(item);
      this.#spokenItems.delete(item);
    }
    if (this.#playing === event.response_id) this.#playing = null;
    if (!this.#hearing && this.#response === null) this.#onState("listening");
  }

  #call(item) {
    this.#transcript.toolCalled(item.call_id, item.name, item.arguments);
    const output = agent.run(item.name, item.arguments);
    this.#transcript.toolAnswered(item.call_id, output);
    this.#send({
      type: "conversation.item.create",
      item: { type: "function_call_output", call_id: item.call_id, output },
    });
    this.#callsWaiting += 1;
  }

  #finished(response) {
    if (this.#response === response.id) this.#response = null;
    if (response.status === "failed") this.#transcript.alert(response.status_details.error.message);
    if (response.status === "completed" && this.#callsWaiting) this.#send({ type: "response.create" });
    else if (!this.speaking && response.status !== "cancelled" && !this.#speaks(response)) this.#onState("listening");
    this.#callsWaiting = 0;
  }

  #speaks(response) {
    return [...this.#spokenItems.values()].includes(response.id);
  }
}
