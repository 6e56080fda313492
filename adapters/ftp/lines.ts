/** Longest command line that is taken, in bytes: a path of 4,096 and room for its verb. */
export const maxLineBytes = 8192;

/** Telnet (RFC 854): what clients put before ABOR. */
const iac = 0xff;
const will = 0xfb;

/** Where a command should be: bytes that are no UTF-8, or more than a line may have. */
export type BadLine = "not UTF-8" | "too long";
/** One command as it came. */
export type Line = { readonly text: string } | { readonly bad: BadLine };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Cuts a control connection into lines (RFC 959 section 5.3, RFC 1123 section 4.1.2.11).
 *
 * Keeps what belongs to a line that is not whole yet, at most
 * {@linkcode maxLineBytes}; of a longer one it tells at once, and drops the rest
 * of it. Takes a lone LF as an end too, and drops telnet commands. One instance
 * a connection.
 */
export class LineReader {
  #held = new Uint8Array(512);
  #length = 0;
  #telnet: "text" | "command" | "option" = "text";
  #dropping = false;

  /** Bytes of a line that is not whole yet. */
  get pending(): number {
    return this.#length;
  }

  /** Calls `line` with each line that is now whole and the bytes behind it, until that answers false. */
  feed(chunk: Uint8Array, line: (line: Line, rest: number) => boolean): void {
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
      const rest = chunk.length - at - 1;
      if (byte !== 0x0a) {
        if (this.#keep(byte) || this.#dropping) continue;
        this.#dropping = true;
        this.#held = new Uint8Array(512);
        this.#length = 0;
        if (!line({ bad: "too long" }, rest)) return;
      } else if (this.#dropping) this.#dropping = false;
      else if (!line(this.#take(), rest)) return;
    }
  }

  #keep(byte: number): boolean {
    if (this.#dropping || this.#length === maxLineBytes) return false;
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
      return { text: decoder.decode(bytes) };
    } catch {
      return { bad: "not UTF-8" };
    }
  }
}
