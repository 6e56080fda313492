/** How long a client is waited for that may begin with TLS unasked, in milliseconds: it did last time, it did not. */
const EAGER_MS = 500;
const WAITING_MS = 0;
const SHAKE_MS = 1000;

/** What a client does, as its last upload has shown. */
export interface Habit {
  patience: number;
}

export const unknownHabit = (): Habit => ({ patience: 50 });

/**
 * When the client of an upload over TLS is told that the data connection opens (150).
 *
 * OpenSSL's clients use a ticket of TLS 1.3 once, and so need the next one from each
 * data connection. curl sends a small file and leaves before that comes, unless it
 * still waits for the 150: so where a client begins with TLS before it, the tickets go
 * out first. Others, as Python's ftplib, begin after it, and are told soon.
 */
export class Opening {
  readonly #habit: Habit;
  readonly #announce: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #told = false;

  constructor(habit: Habit, announce: () => void) {
    this.#habit = habit;
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
    if (this.#habit.patience === WAITING_MS) return this.tell();
    this.#after(this.#habit.patience, () => {
      this.#habit.patience = WAITING_MS;
    });
  }

  /** The handshake is under way. */
  begun(): void {
    if (!this.#told) this.#habit.patience = EAGER_MS;
    this.#after(SHAKE_MS);
  }

  /** It came without a session to resume: perhaps it missed the last tickets, and would have begun unasked. */
  unresumed(): void {
    this.#habit.patience = EAGER_MS;
  }

  /** Tells no more by itself. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(milliseconds: number, learn = () => {}): void {
    this.stop();
    if (this.#told) return;
    const timer = setTimeout(() =>
      setImmediate(() => {
        if (this.#timer !== timer) return;
        learn();
        this.tell();
      }), milliseconds);
    this.#timer = timer;
  }
}
