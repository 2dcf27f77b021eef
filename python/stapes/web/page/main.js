// The page of `stapes serve`. What its address asks for (`?name=Ana`) goes along with each call. A token stands in the
// fragment (`#token=...`): browsers send that to no server, so it is in no log.

import { VoiceCall } from "./stapes.js";
import { Screen } from "./screen.js";

const { search, searchParams } = new URL(location.href);
const codec = searchParams.get("codec") ?? "pcm";
const transport = searchParams.get("transport") ?? "auto";

function token() {
  return new URLSearchParams(location.hash.slice(1)).get("token") || null;
}

new Screen(() => new VoiceCall({ url: `talk${search}`, codec, transport, token: token() }));
