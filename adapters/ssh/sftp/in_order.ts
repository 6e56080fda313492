/**
 * Lets answers out in the order in which their requests began.
 *
 * The protocol allows any order (section 3), but OpenSSH's `scp` cuts a
 * download, and reports success, at the first DATA that overtook an earlier
 * one (sftp-client.c, `highwater`), since its own server answers in order.
 */
export class InOrder {
  #begun = 0;
  #next = 0;
  readonly #held = new Map<number, () => void>();

  /** A request begins: its place in the order. */
  enter(): number {
    return this.#begun++;
  }

  /** A request is done: answers now, or when all before it have answered. */
  leave(place: number, answer: () => void): void {
    if (place !== this.#next) return void this.#held.set(place, answer);
    this.#next++;
    answer();
    for (let held = this.#held.get(this.#next); held; held = this.#held.get(this.#next)) {
      this.#held.delete(this.#next++);
      held();
    }
  }
}
