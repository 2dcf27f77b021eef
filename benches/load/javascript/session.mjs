// A session of @openai/agents-realtime, and what its user code received.
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';

const look = tool({
  name: 'look',
  description: 'Looks.',
  parameters: { type: 'object', properties: {}, required: [], additionalProperties: false },
  strict: true,
  execute: async () => 'nothing',
});

export class Client {
  latenciesNs = [];
  bytes = 0;
  items = 0;
  errors = 0;

  constructor(turns, mode) {
    this.mode = mode;
    this.turns = turns;
    this.done = new Promise((resolve) => (this.finish = resolve));
  }

  async open(url) {
    const tools = this.mode === 'tools' ? [look] : [];
    const agent = new RealtimeAgent({ name: 'load', instructions: 'Be brief.', tools });
    this.session = new RealtimeSession(agent, { transport: 'websocket', apiKey: 'unused' });
    this.session.on('audio', ({ data }) => {
      const sent = Number(new DataView(data).getBigInt64(0, true));
      this.latenciesNs.push(Number(process.hrtime.bigint()) - sent);
      this.bytes += data.byteLength;
    });
    this.session.on('history_added', () => this.items++);
    this.session.on('agent_end', () => {
      if (--this.turns === 0) this.finish();
    });
    this.session.on('error', ({ error }) => {
      this.errors++;
      console.error('session error:', String(error?.message ?? error).slice(0, 300));
    });
    await this.session.connect({ url, apiKey: 'unused' });
  }

  start() {
    this.session.sendMessage('go');
  }

  sendAudio(pcm) {
    this.session.sendAudio(pcm);
  }

  close() {
    this.session.close();
  }
}
