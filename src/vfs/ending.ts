import { Effect } from "effect";

/** How a handle gives back what it holds. Either way once. */
export interface Ending {
  /** Absent where giving it back has to be waited for. */
  readonly now?: () => void;
  readonly later: Effect.Effect<void>;
}

export const endingNow = (release: () => void): Ending => ({
  now: release,
  later: Effect.sync(release),
});
