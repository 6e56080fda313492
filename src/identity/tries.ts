/** Key questions without a signature that one connection may ask; agents hold many keys. */
const mostQueries = 32;

/**
 * Counts what one connection has tried, over all methods (CVE-2015-5600).
 *
 * A first `none` only asks for the methods and a key question costs the client
 * nothing, so these have a budget of their own.
 */
export class Tries {
  readonly #most: number;
  #used = 0;
  #queries = 0;
  #asked = false;

  /** `most` as configured: 0 means 6, negative unlimited (BEHAVIOUR SSH-05). */
  constructor(most: number) {
    this.#most = most === 0 ? 6 : most < 0 ? Infinity : most;
  }

  get exhausted(): boolean {
    return this.#used >= this.#most || this.#queries > mostQueries;
  }

  count(): void {
    this.#used += 1;
  }

  /** Gives back the last one: it was no failure. */
  giveBack(): void {
    this.#used -= 1;
  }

  countQuery(): void {
    this.#queries += 1;
  }

  /** Counts `none`, but for the first. */
  countNone(): void {
    if (this.#asked) this.#used += 1;
    this.#asked = true;
  }
}
