import { Effect, type Scope } from "effect";
import { Users } from "../catalog/catalog.ts";
import { type CatalogError, FsError } from "../errors.ts";
import type { NewEvent } from "../events/event.ts";
import { type Intent, Journal, type LeftBehind } from "../events/journal.ts";
import type { User } from "../model/user.ts";
import { peek, redone } from "./redone.ts";
import { isKeptKey } from "../storage/staged.ts";
import type { Storage } from "../storage/storage.ts";
import { Storages } from "../storage/storages.ts";

/** What a start found of the process before it. */
export interface Recovered {
  readonly settled: number;
  readonly cancelled: number;
  /** Left as they are, because the storage could not be asked; the next start tries again. */
  readonly open: number;
}

/**
 * Resolves what a crash left between intention and settlement, oldest first,
 * by looking at the storage. Runs once, before the first session.
 */
export const recover: Effect.Effect<Recovered, CatalogError, Journal | Users | Storages> = Effect
  .flatMap(Journal, (journal) =>
    Effect.flatMap(journal.unsettled, (unsettled) =>
      Effect.zipLeft(
        resolve(unsettled, false),
        Effect.forEach(
          new Set(unsettled.flatMap(({ quota }) => quota?.username ?? [])),
          notBelowZero,
        ),
      )));

/** What was expected of an operation may be more than there was to take away (QUOTA-14). */
const notBelowZero = (username: string): Effect.Effect<void, CatalogError, Users> =>
  Effect.gen(function* () {
    const users = yield* Users;
    const user = yield* users.usage(username);
    if (!user) return;
    // A row that is below zero reads as zero.
    yield* users.setUsage(username, {
      bytes: user.used_quota_size,
      files: user.used_quota_files,
    });
  });

/** The same for a worker that died, while the server goes on. Only when nothing of it runs any more. */
export const recoverPart = (
  part: string,
): Effect.Effect<Recovered, CatalogError, Journal | Users | Storages> =>
  Effect.flatMap(
    Journal,
    (journal) => Effect.flatMap(journal.unsettledOf(part), (left) => resolve(left, true)),
  );

const resolve = (
  unsettled: ReadonlyArray<LeftBehind>,
  /** The machine did not stop: what was done to files is all there. */
  running: boolean,
): Effect.Effect<Recovered, CatalogError, Journal | Users | Storages> =>
  Effect.gen(function* () {
    const journal = yield* Journal;
    const users = yield* Users;
    const storages = yield* Storages;
    const count = { settled: 0, cancelled: 0, open: 0 };
    for (const [i, left] of unsettled.entries()) {
      const { event, intent, prepared, quota, done } = left;
      if (done && !left.content) {
        count.settled++;
        yield* prepared.settle({}, quota);
        continue;
      }
      const user = yield* users.effective(intent.username);
      const later = unsettled.slice(i + 1)
        .filter((other) => samePlace(other.intent, intent));
      const happened = user
        ? yield* Effect.either(Effect.scoped(
          Effect.flatMap(placeOf(storages, user, intent), (storage) =>
            Effect.flatMap(
              redone(storage, left, later, running),
              (known) =>
                known === undefined
                  ? didHappen(storage, intent, event, later.map((other) => other.intent))
                  : Effect.succeed(known),
            )),
        ))
        : undefined;
      if (happened?._tag === "Left") {
        count.open++;
        yield* Effect.logWarning("an operation of the last run cannot be resolved", happened.left);
      } else if (happened?.right) {
        count.settled++;
        yield* prepared.settle({}, quota);
      } else {
        count.cancelled++;
        yield* prepared.cancel();
      }
    }
    yield* journal.flush;
    return count;
  });

/** Whether two operations were in the same home or folder: other users may share the latter. */
const samePlace = (a: Intent, b: Intent): boolean =>
  a.folder || b.folder
    ? a.folder?.name === b.folder?.name && a.folder?.subpath === b.folder?.subpath
    : a.username === b.username;

/** The storage of an intent. */
const placeOf = (
  storages: typeof Storages.Service,
  user: User,
  { folder }: Intent,
): Effect.Effect<Storage, FsError, Scope.Scope> => {
  if (!folder) return storages.forUser(user);
  const mount = user.virtual_folders.find((m) =>
    m.name === folder.name && m.subpath === folder.subpath
  );
  return mount ? storages.forFolder(user, mount) : Effect.fail(
    new FsError({
      reason: "Unavailable",
      op: "recover",
      path: "/",
      detail: "not mounted any more",
    }),
  );
};

/** Whether the storage shows the result of `intent`, or something that can only have come after it. */
const didHappen = (
  storage: Storage,
  intent: Intent,
  event: NewEvent,
  later: ReadonlyArray<Intent>,
): Effect.Effect<boolean, FsError> =>
  Effect.gen(function* () {
    const there = (key: string | undefined) =>
      key === undefined ? Effect.succeed(undefined) : peek(storage, key);
    const takenAway = later.some((next) =>
      (next.kind === "remove" && next.key === intent.key) ||
      (next.kind === "move" && next.from === intent.key)
    );
    const putThere = (key: string | undefined) =>
      later.some((next) =>
        next.key === key &&
        (next.kind === "publish" || next.kind === "move" || next.kind === "make")
      );
    const now = yield* there(intent.key);
    switch (intent.kind) {
      case "publish": {
        const staged = yield* there(intent.staged);
        if (staged && intent.staged !== undefined) {
          // A new file is published by a second name; a crash may have come before the first went.
          const linked = (staged.links ?? 1) > 1;
          // An upload that outlives its connection outlives this too: its client will end it.
          if (linked || !isKeptKey(intent.staged)) yield* storage.remove(intent.staged);
          return linked;
        }
        if (!now) return takenAway;
        return now.size === event.file_size || putThere(intent.key);
      }
      case "extend":
        return now ? now.size === event.file_size || putThere(intent.key) : takenAway;
      case "make":
        return now !== undefined || takenAway;
      case "remove":
        return !now || putThere(intent.key);
      case "move": {
        const source = yield* there(intent.from);
        return (!source || putThere(intent.from)) && (now !== undefined || takenAway);
      }
    }
  });
