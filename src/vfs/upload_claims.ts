import { Deferred, type Duration, Effect, FiberId } from "effect";

interface Claim {
  readonly id: string;
  readonly ticket: string;
  readonly wanted: Deferred.Deferred<void>;
}
interface Waiting extends Claim {
  readonly granted: Deferred.Deferred<boolean>;
}

/**
 * One caller at a time at work on an upload, the newest: a connection that died
 * without a word must not keep its own client from going on.
 */
export class UploadClaims {
  readonly #held = new Map<string, Claim>();
  readonly #waiting = new Map<string, Waiting>();
  /** By ticket, held or waiting. */
  readonly #all = new Map<string, Claim>();

  constructor(readonly patience: Duration.DurationInput = "15 seconds") {}

  take(id: string, ticket: string, how: "newest" | "idle"): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const holder = this.#held.get(id);
      const claim = { id, ticket, wanted: Deferred.unsafeMake<void>(FiberId.none) };
      if (!holder) {
        this.#hold(claim);
        return Effect.succeed(true);
      }
      if (how === "idle") return Effect.succeed(false);
      const before = this.#waiting.get(id);
      const granted = Deferred.unsafeMake<boolean>(FiberId.none);
      this.#waiting.set(id, { ...claim, granted });
      this.#all.set(ticket, claim);
      return Effect.gen(this, function* () {
        if (before) yield* Deferred.succeed(before.granted, false);
        yield* Deferred.succeed(holder.wanted, undefined);
        return yield* Effect.timeoutTo(Deferred.await(granted), {
          duration: this.patience,
          onTimeout: () => false,
          onSuccess: (mine) => mine,
        });
      });
    });
  }

  wanted(ticket: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const claim = this.#all.get(ticket);
      return claim ? Deferred.await(claim.wanted) : Effect.void;
    });
  }

  release(ticket: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const claim = this.#all.get(ticket);
      if (!claim) return Effect.void;
      const { id } = claim;
      this.#all.delete(ticket);
      const next = this.#waiting.get(id);
      if (next?.ticket === ticket) {
        this.#waiting.delete(id);
        return Effect.void;
      }
      if (this.#held.get(id)?.ticket !== ticket) return Effect.void;
      this.#held.delete(id);
      if (!next) return Effect.void;
      this.#waiting.delete(id);
      this.#hold(next);
      return Effect.asVoid(Deferred.succeed(next.granted, true));
    });
  }

  #hold(claim: Claim): void {
    this.#held.set(claim.id, claim);
    this.#all.set(claim.ticket, claim);
  }
}
