//! Sound: formats, PCM and base64, G.711, resampling. No async, no JSON, no clock.
