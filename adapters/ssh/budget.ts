/** Bytes of one connection above which writers wait, and below which they go on. */
export const HIGH = 1024 * 1024;
export const LOW = 256 * 1024;

/**
 * Bytes that a connection accepted for its client and has not sent yet: queued
 * in channels, held back by a key exchange, or in the socket. A client that
 * does not read fills it, and whoever writes then waits (SECURITY.md 3.1 item 17).
 */
export class Budget {
  #bytes = 0;
  #lost: Error | undefined;
  #waiting: Array<{ resolve: () => void; reject: (error: Error) => void }> = [];

  get bytes(): number {
    return this.#bytes;
  }
  get full(): boolean {
    return this.#bytes > HIGH;
  }
  take(bytes: number): void {
    this.#bytes += bytes;
  }
  give(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < LOW && this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const { resolve } of waiting) resolve();
    }
  }
  /** Resolves when there is room; rejects when the connection is lost. */
  room(): Promise<void> {
    if (this.#lost) return Promise.reject(this.#lost);
    if (!this.full) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
  /** The connection is gone: everyone who waits learns it. */
  lose(error: Error): void {
    this.#lost = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }
}
