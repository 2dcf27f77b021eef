// The page of `stapes serve`. What its address asks for (`?name=Ana`) goes along with each call.

import { VoiceCall } from "./stapes.js";
import { Screen } from "./screen.js";

const { search, searchParams } = new URL(location.href);
const codec = searchParams.get("codec") ?? "pcm";
const transport = searchParams.get("transport") ?? "auto";

new Screen(() => new VoiceCall({ url: `talk${search}`, codec, transport }));
