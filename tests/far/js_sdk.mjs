// A conversation of @openai/agents-realtime, by words and by sound, with a tool; told on one line.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, url, sound] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } = await load(
  '@openai/agents-realtime',
).then(async (module) => ({ ...module, ...(module.tool ? {} : await load('@openai/agents-core')) }));

const weather = tool({
  name: 'get_weather',
  description: 'Say how the weather is.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  strict: true,
  execute: async ({ city }) => `sunny for ${city}`,
});
const agent = new RealtimeAgent({ name: 'front', instructions: 'Be brief.', tools: [weather] });
const transport = new OpenAIRealtimeWebSocket({ url });
const session = new RealtimeSession(agent, {
  transport,
  config: { audio: { input: { turnDetection: { type: 'server_vad' } } } },
});
const told = { outputs: [], bytes: 0, tools: [], errors: [] };
const ended = new Promise((resolve) => {
  session.on('agent_end', (_context, _agent, output) => {
    told.outputs.push(output);
    if (told.outputs.length === 4) resolve();
  });
});
session.on('audio', (event) => (told.bytes += event.data.byteLength));
session.on('agent_tool_end', (_context, _agent, _tool, result) => told.tools.push(result));
session.on('error', (error) => told.errors.push(String(error?.error?.message ?? error)));
await session.connect({ apiKey: 'any' });
session.sendMessage('What is the weather?');
const second = new Promise((resolve) => session.on('agent_end', () => told.outputs.length === 2 && resolve()));
await second;
const pcm = readFileSync(sound);
for (let at = 0; at < pcm.length; at += 9_600) {
  const piece = pcm.subarray(at, at + 9_600);
  session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.byteLength));
}
await ended;
session.close();
console.log(JSON.stringify(told));
process.exit(0);
