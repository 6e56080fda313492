import type { ByteChannel } from "../byte_channel.ts";
import { type Framed, Framer } from "./framer.ts";

/** The requests of one channel, in the order in which they came. */
export class Input {
  readonly #framer: Framer;
  readonly #channel: ByteChannel;
  #end: "no" | "ended" | "lost" = "no";
  #wake: (() => void) | undefined;
  readonly #poured: boolean;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
    this.#poured = channel.pour !== undefined;
    this.#framer = new Framer((bytes) => channel.took?.(bytes));
    channel.pour?.((chunk) => {
      this.#framer.push(chunk);
      this.#ring();
    }).then(() => this.#over("ended"), () => this.#over("lost"));
  }

  /** What is there already. */
  next(): Framed {
    return this.#framer.next();
  }

  /** Resolves when `next` may have something, or the input ended. */
  async more(): Promise<"more" | "ended" | "lost"> {
    if (this.#end !== "no") return this.#end;
    if (this.#poured) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      return "more";
    }
    try {
      const chunk = await this.#channel.read();
      if (chunk === undefined) this.#end = "ended";
      else this.#framer.push(chunk);
    } catch {
      this.#end = "lost";
    }
    return "more";
  }

  #over(how: "ended" | "lost"): void {
    this.#end = how;
    this.#ring();
  }

  #ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
