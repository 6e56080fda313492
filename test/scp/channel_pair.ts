import { Effect } from "effect";
import type { ByteChannel } from "../../adapters/ssh/byte_channel.ts";

/** One end of an in-memory channel, with what the engine under test wrote to stderr. */
export interface End extends ByteChannel {
  /** Ends the input of the other side. */
  end(): void;
  /** Cuts the connection: reads and writes of both sides reject. */
  cut(): void;
  readonly errors: () => string;
}

const budget = 256 * 1024;

class Pipe {
  #chunks: Uint8Array[] = [];
  #ended = false;
  #cut = false;
  #bytes = 0;
  #most = 0;
  #wake: Array<() => void> = [];

  /** Most bytes that ever waited here. */
  get most(): number {
    return this.#most;
  }
  get bytes(): number {
    return this.#bytes;
  }
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#cut) throw new Error("connection lost");
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    this.#most = Math.max(this.#most, this.#bytes);
    this.#ring();
    while (this.#bytes > budget && !this.#cut) await this.#change();
    if (this.#cut) throw new Error("connection lost");
  }
  async read(): Promise<Uint8Array | undefined> {
    while (this.#chunks.length === 0 && !this.#ended && !this.#cut) await this.#change();
    if (this.#cut) throw new Error("connection lost");
    const chunk = this.#chunks.shift();
    this.#bytes -= chunk?.length ?? 0;
    this.#ring();
    return chunk;
  }
  end(): void {
    this.#ended = true;
    this.#ring();
  }
  cut(): void {
    this.#cut = true;
    this.#ring();
  }
  #change = () => new Promise<void>((resolve) => this.#wake.push(resolve));
  #ring(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A duplex in-memory connection: what one end writes the other reads. */
export const channelPair = (): { readonly server: End; readonly client: End } => {
  const up = new Pipe();
  const down = new Pipe();
  const end = (input: Pipe, output: Pipe): End => {
    let errors = "";
    return {
      read: () => input.read(),
      write: (bytes) => output.write(bytes),
      writeError: (bytes) => {
        errors += new TextDecoder().decode(bytes);
        return Promise.resolve();
      },
      get backlog() {
        return output.bytes;
      },
      close: () => Effect.sync(() => output.end()),
      end: () => output.end(),
      cut: () => {
        input.cut();
        output.cut();
      },
      errors: () => errors,
    };
  };
  return { server: end(up, down), client: end(down, up) };
};
