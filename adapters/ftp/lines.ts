/** Longest command line that is taken, in bytes: a path of 4,096 and room for its verb. */
export const maxLineBytes = 8192;

/** Telnet (RFC 854): what clients put before ABOR. */
const iac = 0xff;
const will = 0xfb;

/** One command as it came; undefined where its bytes are not UTF-8. */
export type Line = string | undefined;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Cuts a control connection into lines (RFC 959 section 5.3, RFC 1123 section 4.1.2.11).
 *
 * Keeps what belongs to a line that is not whole yet, at most
 * {@linkcode maxLineBytes}; takes a lone LF as an end too, and drops telnet
 * commands. One instance a connection.
 */
export class LineReader {
  #held = new Uint8Array(512);
  #length = 0;
  #telnet: "text" | "command" | "option" = "text";

  /** Bytes of a line that is not whole yet. */
  get pending(): number {
    return this.#length;
  }

  /** Calls `line` for each line that is now whole, until that answers false. False when a line is too long. */
  feed(chunk: Uint8Array, line: (line: Line, rest: number) => boolean): boolean {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (this.#telnet === "option") {
        this.#telnet = "text";
        continue;
      }
      if (this.#telnet === "command") {
        // The byte 255 doubled is data, which no UTF-8 has; 251 to 254 bring an option.
        this.#telnet = byte >= will && byte < iac ? "option" : "text";
        if (byte !== iac) continue;
      } else if (byte === iac) {
        this.#telnet = "command";
        continue;
      }
      if (byte === 0x0a) {
        if (!line(this.#take(), chunk.length - at - 1)) return true;
      } else if (!this.#keep(byte)) return false;
    }
    return true;
  }

  #keep(byte: number): boolean {
    if (this.#length === maxLineBytes) return false;
    if (this.#length === this.#held.length) {
      const larger = new Uint8Array(this.#held.length * 4);
      larger.set(this.#held);
      this.#held = larger;
    }
    this.#held[this.#length++] = byte;
    return true;
  }

  #take(): Line {
    const end = this.#held[this.#length - 1] === 0x0d ? this.#length - 1 : this.#length;
    const bytes = this.#held.subarray(0, Math.max(0, end));
    this.#length = 0;
    try {
      return decoder.decode(bytes);
    } catch {
      return undefined;
    }
  }
}
