/** Milliseconds in which a client begins with TLS that does so unasked, and in which it then ends the handshake. */
const BEGIN_MS = 5;
const SHAKE_MS = 1000;

/**
 * When the client of an upload over TLS is told that the data connection opens (150).
 *
 * OpenSSL's clients use a ticket of TLS 1.3 once, and so need the next one from each
 * data connection. curl sends a small file and leaves before that comes, unless it
 * still waits for the 150: so where a client begins with TLS before it, the tickets go
 * out first. Others, as Python's ftplib, begin after it, and are told soon.
 */
export class Opening {
  readonly #announce: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #told = false;

  constructor(announce: () => void) {
    this.#announce = announce;
  }

  get told(): boolean {
    return this.#told;
  }

  tell(): void {
    this.stop();
    if (this.#told) return;
    this.#told = true;
    this.#announce();
  }

  /** Tells soon, unless TLS begins; what has arrived by then is seen first. */
  wait(): void {
    this.#after(BEGIN_MS);
  }

  /** The handshake is under way. */
  begun(): void {
    this.#after(SHAKE_MS);
  }

  /** Tells no more by itself. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(milliseconds: number): void {
    this.stop();
    if (this.#told) return;
    const timer = setTimeout(() =>
      setImmediate(() => {
        if (this.#timer === timer) this.tell();
      }), milliseconds);
    this.#timer = timer;
  }
}
