const utf8 = new TextEncoder();

export const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

export const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

export const u64 = (value: number | bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
};

/** A string field: its length, then its bytes. */
export const bytes = (value: Uint8Array): Uint8Array => join(u32(value.length), value);
export const text = (value: string): Uint8Array => bytes(utf8.encode(value));

export const hex = (value: Uint8Array): string => value.toHex();

/** Reads the fields of a reply. */
export class Reader {
  #at = 0;
  constructor(private readonly data: Uint8Array) {}

  get left(): number {
    return this.data.length - this.#at;
  }
  u32(): number {
    const view = new DataView(this.data.buffer, this.data.byteOffset, this.data.length);
    const value = view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }
  u64(): number {
    return this.u32() * 2 ** 32 + this.u32();
  }
  bytes(): Uint8Array {
    const length = this.u32();
    const found = this.data.slice(this.#at, this.#at += length);
    if (found.length !== length) throw new Error("reply is cut short");
    return found;
  }
  text(): string {
    return new TextDecoder().decode(this.bytes());
  }
  rest(): Uint8Array {
    return this.data.slice(this.#at);
  }
}

export interface Attrs {
  readonly flags: number;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
  readonly atime?: number;
  readonly mtime?: number;
}

export const attrs = (reader: Reader): Attrs => {
  const flags = reader.u32();
  return {
    flags,
    ...(flags & 1 && { size: reader.u64() }),
    ...(flags & 2 && { uid: reader.u32(), gid: reader.u32() }),
    ...(flags & 4 && { mode: reader.u32() }),
    ...(flags & 8 && { atime: reader.u32(), mtime: reader.u32() }),
  };
};

/** The entries of a NAME reply. */
export const names = (
  body: Uint8Array,
): ReadonlyArray<{ name: string; long: string; attrs: Attrs }> => {
  const reader = new Reader(body);
  return Array.from({ length: reader.u32() }, () => ({
    name: reader.text(),
    long: reader.text(),
    attrs: attrs(reader),
  }));
};
