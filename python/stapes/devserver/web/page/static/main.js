// The page of the development server: a call over WebRTC to an agent that runs in this page.

import * as agent from "./agent.js";
import { Conversation } from "./conversation.js";
import { Screen } from "./screen.js";
import { VoiceCall } from "./stapes.js";
import { WebRTCCarrier } from "./webrtc.js";

const find = (id) => document.getElementById(id);
document.title = "Talk to the development server";
find("brand").textContent = "development server";
find("title").textContent = agent.title;
find("empty-title").textContent = "Ask, for instance";
const examples = agent.examples.map((textContent) => Object.assign(document.createElement("li"), { textContent }));
find("examples").replaceChildren(...examples);

new Screen(
  (key = "development") =>
    new VoiceCall({
      carrier: new WebRTCCarrier({
        url: "/v1/realtime/calls",
        key,
        session: agent.session,
        dialect: new Conversation(),
      }),
    }),
  {
    agent: agent.name,
    keyAsked: ({ status }) => status === 401 && "This server asks for an API key",
  },
);
