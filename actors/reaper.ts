import { type Cause, type Duration, Effect, Schedule, type Scope } from "effect";
import { Users } from "../src/catalog/catalog.ts";
import { DavState } from "../src/dav/state.ts";
import type { CatalogError, FsError } from "../src/errors.ts";
import type { User } from "../src/model/user.ts";
import type { Storage } from "../src/storage/storage.ts";
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
      for (const { username } of some) {
        // Whoever refers to what is gone cannot log in either.
        const user = yield* Effect.orElseSucceed(users.effective(username), () => undefined);
        if (user) removed += yield* sweepHome(user, seen);
      }
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
      const user = yield* users.effective(username);
      if (user) yield* sweepHome(user, seen, "ours");
    }
  });

const sweepHome = (
  user: User,
  seen: Set<string>,
  whose?: "ours",
): Effect.Effect<number, never, Storages> =>
  Effect.gen(function* () {
    // Sweeping must not make homes: whoever has never logged in has nothing to sweep.
    const as = { ...user, filters: { ...user.filters, disable_fs_checks: true } };
    const storages = yield* Storages;
    const places = [
      storages.forUser(as),
      ...user.virtual_folders.map((mount) => storages.forFolder(as, mount)),
    ];
    const swept = yield* Effect.forEach(places, (place) => sweepPlace(place, seen, whose));
    return swept.reduce((sum, files) => sum + files, 0);
  });

const sweepPlace = (
  place: Effect.Effect<Storage, FsError, Scope.Scope>,
  seen: Set<string>,
  whose?: "ours",
): Effect.Effect<number> =>
  Effect.scoped(Effect.flatMap(place, (storage) => {
    if (seen.has(storage.identity)) return Effect.succeed(0);
    seen.add(storage.identity);
    return storage.sweep(whose);
  })).pipe(
    Effect.catchAll((error) =>
      Effect.as(
        error.reason === "NotFound"
          ? Effect.void
          : Effect.logWarning("a home or folder could not be swept", error),
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
