// In a page before its own scripts: keeps what the page plays of a call over WebRTC, and how much of that it had
// played when it was told of an interruption.

(() => {
  const RATE = 24000;
  const KEEPER = `registerProcessor("keeper", class extends AudioWorkletProcessor {
    process([[samples]]) {
      if (samples) this.port.postMessage(samples.slice());
      return true;
    }
  })`;
  const ear = (window.ear = { pieces: [], samples: 0, interruptedAt: [], tracks: 0 });

  async function listen(stream) {
    ear.tracks += 1;
    const context = new AudioContext({ sampleRate: RATE });
    const module = URL.createObjectURL(new Blob([KEEPER], { type: "text/javascript" }));
    await context.audioWorklet.addModule(module);
    const keeper = new AudioWorkletNode(context, "keeper");
    keeper.port.onmessage = ({ data }) => {
      ear.pieces.push(data);
      ear.samples += data.length;
    };
    context.createMediaStreamSource(stream).connect(keeper).connect(context.destination);
  }

  // What an element plays of a remote track is what is heard.
  window.Audio = class extends window.Audio {
    get srcObject() { return super.srcObject; }
    set srcObject(stream) {
      super.srcObject = stream;
      if (stream) listen(stream);
    }
  };

  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...given) {
    const channel = create.apply(this, given);
    channel.addEventListener("message", ({ data }) => {
      const { event } = JSON.parse(data);
      if (event?.type === "interrupted") ear.interruptedAt.push(ear.samples);
    });
    return channel;
  };

  // 32 bit floats, in base64.
  ear.sound = () => {
    const all = new Float32Array(ear.samples);
    let at = 0;
    for (const piece of ear.pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    const bytes = new Uint8Array(all.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  };
})();
