import { type Cause, type Duration, Effect, Schedule } from "effect";
import { Users } from "../src/catalog/catalog.ts";
import { DavState } from "../src/dav/state.ts";
import type { CatalogError } from "../src/errors.ts";
import type { User } from "../src/model/user.ts";
import { Storages } from "../src/storage/storages.ts";
import { supervise } from "./supervisor.ts";

/** Users looked at without giving sessions a turn: some 5 ms of reading their rows. */
const page = 25;
/** Pause between two pages, so that ten thousand users take a share of the thread and no more. */
const rest = "20 millis";

/**
 * Removes what dead uploads left in every user's home; answers how many files.
 *
 * Homes that several users share are swept once. A home that cannot be opened
 * is logged and passed over.
 */
export const sweepHomes: Effect.Effect<number, CatalogError, Users | Storages> = Effect.gen(
  function* () {
    const users = yield* Users;
    const seen = new Set<string>();
    let removed = 0;
    for (let offset = 0;; offset += page) {
      const some = yield* users.list({ limit: page, offset });
      for (const user of some) removed += yield* sweepHome(user, seen);
      if (some.length < page) break;
      yield* Effect.sleep(rest);
    }
    if (removed > 0) yield* Effect.logInfo(`removed ${removed} orphan temporary files`);
    return removed;
  },
);

/** Removes what the uploads of a thread left that died, from the homes of these users. */
export const sweepAfter = (
  usernames: Iterable<string>,
): Effect.Effect<void, CatalogError, Users | Storages> =>
  Effect.gen(function* () {
    const users = yield* Users;
    const seen = new Set<string>();
    for (const username of usernames) {
      const user = yield* users.find(username);
      if (user) yield* sweepHome(user, seen, "ours");
    }
  });

const sweepHome = (
  user: User,
  seen: Set<string>,
  whose?: "ours",
): Effect.Effect<number, never, Storages> =>
  Effect.scoped(Effect.gen(function* () {
    // Sweeping must not make homes: whoever has never logged in has nothing to sweep.
    const filters = { ...user.filters, disable_fs_checks: true };
    const storage = yield* (yield* Storages).forUser({ ...user, filters });
    if (seen.has(storage.identity)) return 0;
    seen.add(storage.identity);
    return yield* storage.sweep(whose);
  })).pipe(
    Effect.catchAll((error) =>
      Effect.as(
        error.reason === "NotFound"
          ? Effect.void
          : Effect.logWarning("a home could not be swept", error),
        0,
      )
    ),
  );

/** Permanent: sweeps at the start and then every `interval`. Interrupt it to stop. */
export const reaper = (
  interval: Duration.DurationInput = "6 hours",
): Effect.Effect<void, Cause.Cause<CatalogError>, Users | Storages> =>
  supervise(
    "reaper",
    { restart: "permanent", max: 10, within: "10 minutes" },
    Effect.repeat(sweepHomes, Schedule.spaced(interval)),
  );

/** Permanent: removes WebDAV locks whose time is over, at the start and then every `interval`. */
export const lockReaper = (
  interval: Duration.DurationInput,
): Effect.Effect<void, Cause.Cause<CatalogError>, DavState> =>
  supervise(
    "lock reaper",
    { restart: "permanent", max: 10, within: "10 minutes" },
    Effect.repeat(Effect.flatMap(DavState, ({ expire }) => expire), Schedule.spaced(interval)),
  );
