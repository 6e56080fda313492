/** What the runtime and we use of an AbortSignal. */
export interface Signal {
  readonly aborted: boolean;
  readonly addEventListener: (name: "abort", then: () => void, options?: { once: boolean }) => void;
  readonly removeEventListener: (name: "abort", then: () => void) => void;
}

/**
 * An AbortController for one connection. An AbortSignal reports what its listeners
 * throw as an error of the process, and the runtime's throws where the connection
 * has just ended by itself.
 */
export class Cutter {
  readonly #listeners = new Set<() => void>();
  #cut = false;
  readonly signal: Signal;

  constructor() {
    const isCut = () => this.#cut;
    this.signal = {
      get aborted() {
        return isCut();
      },
      addEventListener: (_, then) => void this.#listeners.add(then),
      removeEventListener: (_, then) => void this.#listeners.delete(then),
    };
  }

  abort(): void {
    if (this.#cut) return;
    this.#cut = true;
    for (const then of this.#listeners) {
      try {
        then();
      } catch {
        // It has ended already.
      }
    }
    this.#listeners.clear();
  }
}
