const nothing = new Uint8Array(0);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the fields of one packet.
 *
 * Nothing throws: a field beyond the end answers zero or nothing and sets
 * `malformed`, an undecodable name sets `badName`, a number that a double
 * cannot hold sets `tooLarge`. Handlers read every field first; the session
 * then refuses the request if a mark is set. Bytes after the last field are
 * ignored, as OpenSSH does.
 */
export class Body {
  malformed = false;
  badName = false;
  tooLarge = false;
  #bytes: Uint8Array = nothing;
  #at = 0;

  /** Starts a packet at `at`. One Body serves a whole session; parsing is synchronous. */
  reset(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.malformed = this.badName = this.tooLarge = false;
  }

  /** Forgets the packet, so that it can be collected while the session idles. */
  release(): void {
    this.#bytes = nothing;
  }

  u32(): number {
    const b = this.#bytes;
    const at = this.#at;
    if (at + 4 > b.length) {
      this.malformed = true;
      return 0;
    }
    this.#at = at + 4;
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
  }

  /** A 64-bit number; Infinity, and `tooLarge`, above 2^53 - 1 (SECURITY 3.1 item 23). */
  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high < 0x20_0000) return high * 0x1_0000_0000 + low;
    this.tooLarge = true;
    return Infinity;
  }

  /** A string as a view of the packet. */
  bytes(): Uint8Array {
    const length = this.u32();
    const start = this.#at;
    if (start + length > this.#bytes.length) {
      this.malformed = true;
      return nothing;
    }
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** A string as text. SFTP v3 names no encoding; everyone sends UTF-8 (SECURITY 6 item 4). */
  text(): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      this.badName = true;
      return "";
    }
  }
}
