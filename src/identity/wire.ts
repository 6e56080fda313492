const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads SSH wire types (RFC 4251 section 5) from `bytes`.
 *
 * Never reads past the end: every method answers undefined from the first
 * short read on, so one check of `done` after the last read is enough.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #broken = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** All was read, and nothing was missing. */
  get done(): boolean {
    return !this.#broken && this.#at === this.#bytes.length;
  }

  /** How many bytes were read so far. */
  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#broken ? 0 : this.#bytes.length - this.#at;
  }

  byte(): number | undefined {
    return this.#take(1)?.[0];
  }

  uint32(): number | undefined {
    const raw = this.#take(4);
    return raw && new DataView(raw.buffer, raw.byteOffset, 4).getUint32(0);
  }

  uint64(): bigint | undefined {
    const raw = this.#take(8);
    return raw && new DataView(raw.buffer, raw.byteOffset, 8).getBigUint64(0);
  }

  string(): Uint8Array | undefined {
    const length = this.uint32();
    return length === undefined ? undefined : this.#take(length);
  }

  /** A string that must be UTF-8. */
  text(): string | undefined {
    const raw = this.string();
    if (!raw) return undefined;
    const value = utf8(raw);
    if (value === undefined) this.#broken = true;
    return value;
  }

  /** A positive mpint without its leading zeros; zero and negative numbers are refused. */
  positive(): Uint8Array | undefined {
    const raw = this.string();
    if (!raw || raw.length === 0 || raw[0]! >= 0x80) return this.#fail();
    const from = raw.findIndex((octet) => octet !== 0);
    return from < 0 ? this.#fail() : raw.subarray(from);
  }

  #take(length: number): Uint8Array | undefined {
    if (this.#broken || length > this.#bytes.length - this.#at) return this.#fail();
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  #fail(): undefined {
    this.#broken = true;
    return undefined;
  }
}

/** Decodes UTF-8, or answers undefined. */
export const utf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};
