/** Key exchanges that a client may start in a burst, beyond one for each second and amount of data. */
const BURST = 16;
const BYTES_EACH = 16 * 1024;

/**
 * When to exchange keys anew, and how often the client may.
 *
 * The server starts an exchange after `bytes` in both directions or `seconds`
 * (RFC 4253 section 9). A client earns one exchange for each second and for
 * each 16 KiB moved: `RekeyLimit=16K` works, a flood of KEXINITs does not
 * (SECURITY.md 3.1 item 9).
 */
export class RekeyPolicy {
  readonly #limit: number;
  readonly #milliseconds: number;
  #moved = 0;
  #since: number;
  #credit = BURST;
  #creditedAt: number;
  #creditedBytes = 0;

  constructor(bytes: number, seconds: number, now: number) {
    this.#limit = bytes > 0 ? bytes : Infinity;
    this.#milliseconds = seconds > 0 ? seconds * 1000 : Infinity;
    this.#since = now;
    this.#creditedAt = now;
  }

  count(bytes: number): void {
    this.#moved += bytes;
    this.#creditedBytes += bytes;
  }

  due(now: number): boolean {
    return this.#moved >= this.#limit || now - this.#since >= this.#milliseconds;
  }

  /** An exchange is over. */
  done(now: number): void {
    this.#moved = 0;
    this.#since = now;
  }

  /** Whether the client's KEXINIT is acceptable; one that answers ours is free. */
  admit(now: number, ours: boolean): boolean {
    if (ours) return true;
    const earned = (now - this.#creditedAt) / 1000 + this.#creditedBytes / BYTES_EACH;
    this.#credit = Math.min(BURST, this.#credit + earned) - 1;
    this.#creditedAt = now;
    this.#creditedBytes = 0;
    return this.#credit >= 0;
  }
}
