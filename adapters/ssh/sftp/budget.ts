import { limits } from "./protocol.ts";

/**
 * What one channel holds in memory: requests without an answer, and answers
 * the connection has not taken (SECURITY 3.1 items 16 and 17).
 *
 * Plain counters for the hot path. Bytes are counted before they are
 * allocated. When a high mark is passed, `room` waits until everything is
 * below the low marks.
 */
export class Budget {
  /** Bytes of requests being worked on. */
  incoming = 0;
  /** Bytes of replies: reserved by READ, or waiting to be sent. */
  outgoing = 0;
  /** Requests without an answer. */
  requests = 0;
  /** The most that was ever held, for tests and diagnosis. */
  peak = 0;
  #full = false;
  #waiting: Array<() => void> = [];

  get full(): boolean {
    return this.#full;
  }

  /** Counts a request of `bytes`. */
  begin(bytes: number): void {
    this.requests++;
    this.incoming += bytes;
    this.#grown();
  }

  end(bytes: number): void {
    this.requests--;
    this.incoming -= bytes;
    this.#shrunk();
  }

  reserve(bytes: number): void {
    this.outgoing += bytes;
    this.#grown();
  }

  release(bytes: number): void {
    this.outgoing -= bytes;
    this.#shrunk();
  }

  /** Resolves when there is room; only to be awaited while `full`. */
  room(): Promise<void> {
    return this.#full ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  /** Lets everyone go on, for good: the channel is over. */
  lift(): void {
    this.#full = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #grown(): void {
    const held = this.incoming + this.outgoing;
    if (held > this.peak) this.peak = held;
    if (
      held > limits.heldHigh || this.outgoing > limits.outgoingHigh ||
      this.requests >= limits.requests
    ) this.#full = true;
  }

  #shrunk(): void {
    if (!this.#full) return;
    const held = this.incoming + this.outgoing;
    if (held < limits.heldLow && this.requests < limits.requests / 2) this.lift();
  }
}
