interface Waiting {
  readonly kind: "read" | "write" | "alone";
  readonly offset: number;
  readonly end: number;
  readonly start: () => void;
}

/**
 * Order of the requests on one file handle.
 *
 * Section 3 lets requests overlap as long as the outcome is that of one after
 * the other. Reads run together, and so do writes to ranges that are apart;
 * whatever would see or undo the effect of an earlier request waits for it,
 * and everything after a waiting request waits too. Requests that concern the
 * whole handle (FSTAT, FSETSTAT, CLOSE ...) run alone.
 */
export class Turns {
  #reads = 0;
  #writes = 0;
  #alone = false;
  /** The span that the running writes touch. */
  #low = 0;
  #high = 0;
  #waiting: Waiting[] = [];
  #idle: Array<() => void> = [];

  /** `serial`: writes have no range of their own (APPEND), so they keep their order. */
  constructor(private readonly serial: boolean) {}

  /** Takes a turn to read if it may start now; else use {@linkcode wait}. */
  tryRead(): boolean {
    return this.#waiting.length === 0 && this.#mayRead() && this.#startRead();
  }

  tryWrite(offset: number, end: number): boolean {
    return this.#waiting.length === 0 && this.#mayWrite(offset, end) &&
      this.#startWrite(offset, end);
  }

  /** Queues a read or write that could not start; `start` runs when it may. */
  wait(kind: "read" | "write", offset: number, end: number, start: () => void): void {
    this.#waiting.push({ kind, offset, end, start });
  }

  /** Queues for the handle alone. Resolves when it is so; `leaveAlone` must follow. */
  alone(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ kind: "alone", offset: 0, end: 0, start: resolve });
      this.#next();
    });
  }

  leaveRead(): void {
    this.#reads--;
    this.#next();
  }

  leaveWrite(): void {
    this.#writes--;
    this.#next();
  }

  leaveAlone(): void {
    this.#alone = false;
    this.#next();
  }

  /** Resolves when nothing runs. Meant for after {@linkcode stop}. */
  idle(): Promise<void> {
    if (this.quiet) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Drops what waits; what runs goes on to its end. */
  stop(): void {
    this.#waiting = [];
  }

  #next(): void {
    for (let head = this.#waiting[0]; head && this.#take(head); head = this.#waiting[0]) {
      this.#waiting.shift();
      head.start();
    }
    if (this.quiet) { for (const resolve of this.#idle.splice(0)) resolve(); }
  }

  #take({ kind, offset, end }: Waiting): boolean {
    if (kind === "read") return this.#mayRead() && this.#startRead();
    if (kind === "write") return this.#mayWrite(offset, end) && this.#startWrite(offset, end);
    return this.quiet && (this.#alone = true);
  }

  /** Whether nothing runs. */
  get quiet(): boolean {
    return this.#reads === 0 && this.#writes === 0 && !this.#alone;
  }

  #mayRead(): boolean {
    return this.#writes === 0 && !this.#alone;
  }

  #mayWrite(offset: number, end: number): boolean {
    if (this.#reads > 0 || this.#alone) return false;
    return this.#writes === 0 || (!this.serial && (offset >= this.#high || end <= this.#low));
  }

  #startRead(): true {
    this.#reads++;
    return true;
  }

  #startWrite(offset: number, end: number): true {
    this.#low = this.#writes === 0 ? offset : Math.min(this.#low, offset);
    this.#high = this.#writes === 0 ? end : Math.max(this.#high, end);
    this.#writes++;
    return true;
  }
}
