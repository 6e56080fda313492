import type { Socket } from "../../actors/socket.ts";
import type { Budget } from "./budget.ts";
import { borrow, type Bytes, giveBack } from "./memory.ts";

/** Bytes that leave in one write at most. */
const SLAB = 256 * 1024;

/** Memory in which packets are made side by side; it is given back when all of it was sent. */
interface Slab {
  readonly memory: Bytes;
  /** What is not given to the socket yet is from `start` to `end`. */
  start: number;
  end: number;
  /** Writes that the socket has not finished. */
  pending: number;
}

/**
 * The encrypted output of one connection.
 *
 * Packets are sealed where they lie in borrowed memory, and what one turn of
 * the event loop made leaves in one write, without being copied together. An
 * idle connection holds no memory here. All of it counts in the budget until
 * the system took it.
 */
export class Sender {
  readonly #socket: Socket;
  readonly #budget: Budget;
  readonly #drained: () => void;
  #slab: Slab | undefined;
  #scheduled = false;
  #sending = 0;

  /** `drained` is called whenever a write is over. */
  constructor(socket: Socket, budget: Budget, drained: () => void) {
    this.#socket = socket;
    this.#budget = budget;
    this.#drained = drained;
  }

  /** Bytes that the socket has and has not sent. */
  get sending(): number {
    return this.#sending;
  }

  /** Where the next `length` bytes are to be made, at `at`; to be followed by `made`. */
  room(length: number): { readonly memory: Bytes; readonly at: number } {
    let slab = this.#slab;
    if (slab && slab.end + length > slab.memory.length) {
      this.flush();
      this.#retire();
      slab = undefined;
    }
    slab ??= this.#slab = {
      memory: borrow(Math.max(SLAB, length)),
      start: 0,
      end: 0,
      pending: 0,
    };
    return { memory: slab.memory, at: slab.end };
  }

  /** The `length` bytes at the place are ready to be sent. */
  made(length: number): void {
    const slab = this.#slab;
    if (!slab) return;
    slab.end += length;
    this.#budget.take(length);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Sends a copy of `bytes`. */
  put(bytes: Uint8Array): void {
    const { memory, at } = this.room(bytes.length);
    memory.set(bytes, at);
    this.made(bytes.length);
  }

  /** Gives everything to the socket now. */
  flush(): void {
    const slab = this.#slab;
    if (!slab || slab.start === slab.end) return;
    const bytes = slab.memory.subarray(slab.start, slab.end);
    slab.start = slab.end;
    slab.pending++;
    this.#sending += bytes.length;
    this.#socket.write(bytes, () => {
      this.#sending -= bytes.length;
      slab.pending--;
      if (slab.pending === 0) this.#done(slab);
      this.#budget.give(bytes.length);
      this.#drained();
    });
  }

  /** All writes from `slab` are over. */
  #done(slab: Slab): void {
    if (slab !== this.#slab) giveBack(slab.memory);
    else if (slab.start === slab.end) this.#retire();
  }

  #retire(): void {
    const slab = this.#slab;
    this.#slab = undefined;
    if (slab?.pending === 0) giveBack(slab.memory);
  }
}
