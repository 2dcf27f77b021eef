import { VoiceCall } from "./stapes.js";

const [button, pay, state, order, said] = ["call", "pay", "state", "order", "said"].map((id) =>
  document.getElementById(id),
);
let call = null;

function line(list, text, name = "") {
  const item = document.createElement("li");
  item.textContent = text;
  item.className = name;
  list.append(item);
}

function start() {
  const now = new VoiceCall({ url: "talk" });
  now.on("state", ({ state: is }) => (state.textContent = is));
  now.on("transcript", ({ role, text, final }) => {
    if (final && text) line(said, text, role === "user" ? "you" : "agent");
  });
  // What the tool `add_to_order` sends.
  now.on("message", ({ dish, count }) => line(order, `${count} × ${dish}`));
  now.on("ended", ({ reason, error }) => {
    state.textContent = error?.message ?? reason;
    button.textContent = "Call the waiter";
    pay.disabled = true;
    call = null;
  });
  return now;
}

button.addEventListener("click", async () => {
  if (call) return call.end();
  call = start();
  button.textContent = "Hang up";
  try {
    await call.start();
    pay.disabled = false;
  } catch {
    // The event `ended` has said why.
  }
});
pay.addEventListener("click", () => call?.send({ pay: true }));
