// The client of @openai/agents-realtime: the flags and the line of results are those of drive.py.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { tick } from './ticker.mjs';

process.env.OPENAI_AGENTS_DISABLE_TRACING ??= '1';
const OPENING = 20; // sessions that connect at the same time
const PAGE_KB = 4;

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:9100' },
    n: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'paced' },
    chunks: { type: 'string', default: '100' },
    responses: { type: 'string', default: '1' },
    history: { type: 'string', default: '0' },
    spread: { type: 'string', default: '0.1' }, // seconds over which turns start
    null: { type: 'boolean', default: false }, // only the ticking
  },
});
const number = (key) => Number(values[key]);
const [n, chunks, responses, history, spread] = ['n', 'chunks', 'responses', 'history', 'spread'].map(number);
const { mode } = values;

const rssKb = () => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * PAGE_KB;

// What is used from its making to its end.
class Stretch {
  cpu = process.cpuUsage();
  wall = performance.now();

  end() {
    const { user, system } = process.cpuUsage(this.cpu);
    return {
      cpu_s: (user + system) / 1e6,
      cpu_system_s: system / 1e6,
      wall_s: (performance.now() - this.wall) / 1e3,
    };
  }
}

const result = { n, mode, chunks, responses, history, spread, hands_out_audio: !values.null };
let Client = class {
  latenciesNs = [];
  bytes = 0;
  items = 0;
  errors = 0;
  done = Promise.resolve();
  open() {}
  start() {}
  sendAudio() {}
  close() {}
};
if (!values.null) {
  const [rss, importing] = [rssKb(), new Stretch()];
  ({ Client } = await import('./session.mjs'));
  const used = importing.end();
  result.import_ms = used.wall_s * 1e3;
  result.import_cpu_ms = used.cpu_s * 1e3;
  result.import_rss_kb = rssKb() - rss;
}

const url =
  `${values.url}/v1/realtime?model=gpt-realtime-2.1&mode=${mode}&chunks=${chunks}` +
  `&responses=${responses}&history=${history}`;
// A tool is called in a response of its own; the last response has none.
const turnsEach = mode === 'tools' ? chunks + 1 : responses;
const clients = Array.from({ length: n }, () => new Client(turnsEach, mode));
result.rss_idle_kb = rssKb();

const connecting = new Stretch();
for (let first = 0; first < n; first += OPENING) {
  await Promise.all(clients.slice(first, first + OPENING).map((client) => client.open(url)));
}
const deadline = performance.now() + 120_000;
const fewest = () => Math.min(...clients.map((client) => client.items));
while (!values.null && fewest() < history && performance.now() < deadline) await sleep(50);
await sleep(300); // for what greets a session
result.connect_cpu_ms = (connecting.end().cpu_s * 1e3) / n;
result.rss_connected_kb = rssKb();

const paced = mode === 'paced';
const seconds = paced ? chunks / 10 : 60;
const turns = new Stretch();
result.mic_sent = await tick(clients, paced ? spread : 0, paced ? chunks : 0);
let late = clients.length;
const all = Promise.all(clients.map((client) => client.done.then(() => late--)));
await Promise.race([all, sleep((seconds * 2 + 30) * 1000, undefined, { ref: false })]);
Object.assign(result, turns.end());
result.rss_end_kb = rssKb();

const latenciesNs = Float64Array.from(clients.flatMap((client) => client.latenciesNs)).sort();
const sum = (of) => clients.reduce((total, client) => total + of(client), 0);
if (latenciesNs.length) {
  for (const [name, share] of [['p50', 0.5], ['p99', 0.99], ['max', 1]]) {
    const at = Math.min(latenciesNs.length - 1, Math.floor(latenciesNs.length * share));
    result[`lat_${name}_us`] = latenciesNs[at] / 1e3;
  }
}
result.audio_deltas = latenciesNs.length;
result.audio_bytes = sum((client) => client.bytes);
result.errors = sum((client) => client.errors);
result.failed = late ? [`${late} turns are not over`] : [];
console.log(JSON.stringify(result));
clients.forEach((client) => client.close());
process.exit(0); // the sockets need not be drained
