// One ticker for the microphones of all sessions, as in ticker.py.
import { setTimeout as sleep } from 'node:timers/promises';

const TICK_MS = 5;
const SLOTS = 20; // ticks between two chunks of one microphone: 100 ms
const MICROPHONE_PCM = new Uint8Array(4800).map((_, at) => at % 256).buffer;

// Starts the clients over `spread` seconds; each sends `chunks` chunks from then on. How many were sent.
export async function tick(clients, spread, chunks) {
  const starting = new Map();
  clients.forEach((client, number) => {
    const at = Math.floor(((spread * 1000) / TICK_MS / clients.length) * number);
    starting.set(at, [...(starting.get(at) ?? []), client]);
  });
  const slots = Array.from({ length: SLOTS }, () => []);
  const last = Math.max(...starting.keys()) + chunks * SLOTS;
  const begun = performance.now();
  let sent = 0;
  for (let now = 0; now <= last; now++) {
    await sleep(Math.max(0, begun + now * TICK_MS - performance.now()));
    const senders = slots[now % SLOTS];
    senders.splice(0, starting.get(now - chunks * SLOTS)?.length ?? 0);
    for (const client of starting.get(now) ?? []) {
      client.start();
      if (chunks) senders.push(client);
    }
    for (const client of senders) client.sendAudio(MICROPHONE_PCM);
    sent += senders.length;
  }
  return sent;
}
