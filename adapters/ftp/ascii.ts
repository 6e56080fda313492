const cr = 0x0d;
const lf = 0x0a;

/** A file's text as it goes over the wire in TYPE A: each LF becomes CR LF (RFC 959 section 3.1.1.1). */
export const toWire = (bytes: Uint8Array): Uint8Array => {
  let ends = 0;
  for (const byte of bytes) if (byte === lf) ends++;
  if (ends === 0) return bytes;
  const out = new Uint8Array(bytes.length + ends);
  let at = 0;
  for (const byte of bytes) {
    if (byte === lf) out[at++] = cr;
    out[at++] = byte;
  }
  return out;
};

/** The other way, over pieces: CR LF becomes LF, and a CR at the end of a piece waits for the next. */
export class FromWire {
  #held = false;

  convert(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(bytes.length + 1);
    let at = 0;
    for (const byte of bytes) {
      if (this.#held && byte !== lf) out[at++] = cr;
      this.#held = byte === cr;
      if (!this.#held) out[at++] = byte;
    }
    return out.subarray(0, at);
  }

  /** What is left at the end. */
  rest(): Uint8Array {
    return new Uint8Array(this.#held ? [cr] : []);
  }
}
