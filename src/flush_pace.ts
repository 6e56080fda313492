/** A flush that held up the event loop longer than this sends the next ones through the thread pool. Milliseconds. */
const slow = 1;
/** Flushes through the thread pool before one is tried on the loop again; doubled while the disk stays slow. */
const first = 64;
const longest = 4096;
/** Flushes closer together than this are a crowd, which shares one through the thread pool. Milliseconds. */
const crowd = 0.15;

/**
 * Says whether a flush may run on the event loop.
 *
 * On a fast disk a flush takes 0.1 ms, and its way through the thread pool as
 * much again, which the one client that waits for it pays [measured]. On a slow
 * disk, or when many wait, the loop belongs to the other sessions.
 */
export class FlushPace {
  #last = -Infinity;
  #pause = 0;
  #step = first;

  constructor(private readonly now: () => number = () => performance.now()) {}

  mayBlock(): boolean {
    if (this.#pause > 0) {
      this.#pause--;
      return false;
    }
    return this.now() - this.#last > crowd;
  }

  /** Runs a flush on the loop and learns from it. Rethrows what it throws. */
  block(flush: () => void): void {
    const began = this.now();
    try {
      flush();
    } finally {
      this.#last = this.now();
      if (this.#last - began > slow) {
        this.#pause = this.#step;
        this.#step = Math.min(this.#step * 2, longest);
      } else if (this.#step > first) this.#step--;
    }
  }
}
