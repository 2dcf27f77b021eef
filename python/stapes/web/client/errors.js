// What goes wrong in a call, in words that help.

export const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Says in its message what went wrong and what helps; `code` is for programs. */
export class VoiceError extends Error {
  constructor(code, message, { cause, status } = {}) {
    super(message, { cause });
    this.name = "VoiceError";
    this.code = code;
    this.status = status;
  }
}

// What the browser says when there is no microphone to be had, in words that help.
const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["no-permission", "The browser may not use the microphone. Allow it for this page, and call again."],
  NotFoundError: ["no-microphone", "No microphone was found. Connect one, and call again."],
  NotReadableError: ["microphone-busy", "The microphone cannot be opened. Close what else uses it, and call again."],
};

export function explained(problem) {
  if (problem instanceof VoiceError) return problem;
  const [code, message] = MICROPHONE_PROBLEMS[problem.name] ?? ["failed", `The call failed: ${problem.message}`];
  return new VoiceError(code, message, { cause: problem });
}

export function ended() {
  return new VoiceError("ended", "The call was ended.");
}

export function refusedBy(host) {
  return new VoiceError("refused", `The server at ${host} refuses calls from this page: its origin or its token is not allowed.`);
}

export function busy() {
  return new VoiceError("busy", "All lines are busy. Call again in a moment.");
}

export function lost(host) {
  return new VoiceError("lost", `The line to ${host} was lost. Is the network up, and the server?`);
}

// Another call was begun in place of the one that is over.
export function overMeanwhile() {
  return new VoiceError("lost", "The call was over before the line came back. Call again.");
}
