import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { LeftBehind } from "../events/journal.ts";
import type { Entry } from "../model/entry.ts";
import type { Storage } from "../storage/storage.ts";
import { isWithin, type VPath } from "../vpath.ts";

/**
 * Resolves an upload whose content is in the intent log; undefined for all else.
 * Answers whether it happened, and then it is on the disk.
 *
 * While the machine runs, its kernel has all that was done: the upload is where
 * its client knows it, or did not happen. A power cut may have taken the
 * content, the name, or both, of what the client was told is safe: it is made
 * again, in the order of the log, unless something later is seen in its place.
 */
export const redone = (
  storage: Storage,
  { intent, content, done }: LeftBehind,
  later: ReadonlyArray<LeftBehind>,
  running: boolean,
): Effect.Effect<boolean | undefined, FsError> =>
  Effect.gen(function* () {
    const { redo: about, staged } = intent;
    const { redo } = storage;
    if (!about || !content || !redo || staged === undefined) return undefined;
    const found = yield* redo.find(about, placesOf(intent.key, later), content);
    if (found.is === "there") {
      // A new file is published by a second name; a crash may have come before the first went.
      if (yield* glance(storage, staged)) yield* storage.remove(staged);
      return true;
    }
    const rest = yield* glance(storage, staged);
    if (running || !redo.interrupted(about)) {
      if (rest) yield* storage.remove(staged);
      // Only the commit takes the first name away: then others were there since.
      return done === true || !rest;
    }
    const over = found.is === "damaged"
      ? later.some(({ intent, event }) =>
        intent.kind === "extend" && intent.key === found.key && event.file_size === found.size
      )
      : yield* overtaken(storage, intent.key, later);
    const happened = over ||
      (yield* redo.publish(about, found.is === "damaged" ? found.key : intent.key, content));
    if (rest) yield* storage.remove(staged);
    return happened;
  });

/** Where the upload may be by now: every place that a later move may have brought it to. */
const placesOf = (key: string, later: ReadonlyArray<LeftBehind>): ReadonlyArray<string> => {
  const places = [key];
  for (const { intent } of later) {
    const { kind, from } = intent;
    if (kind !== "move" || from === undefined) continue;
    for (const place of [...places]) {
      if (isWithin(from as VPath, place as VPath)) {
        places.push(intent.key + place.slice(from.length));
      }
    }
  }
  return [...new Set(places)];
};

/** Whether the storage shows that something later took the place of what was uploaded to `key`. */
const overtaken = (
  storage: Storage,
  key: string,
  later: ReadonlyArray<LeftBehind>,
): Effect.Effect<boolean, FsError> =>
  Effect.gen(function* () {
    const now = yield* glance(storage, key);
    for (const { intent, event, content } of later) {
      if (intent.key !== key) continue;
      if (intent.kind === "remove" && !now) return true;
      if (!now || content) continue;
      const from = intent.kind === "move"
        ? intent.from
        : intent.kind === "publish" && now.size === event.file_size
        ? intent.staged
        : undefined;
      if (from !== undefined && !(yield* glance(storage, from))) return true;
    }
    return false;
  });

/** The same where a directory on the way may lead out of the home by now: then nothing is there. */
const glance = (storage: Storage, key: string): Effect.Effect<Entry | undefined, FsError> =>
  Effect.catchIf(
    peek(storage, key),
    (error) => error.reason === "Denied",
    () => Effect.succeed(undefined),
  );

/** What is under a name, not followed; undefined when there is nothing. */
export const peek = (storage: Storage, key: string): Effect.Effect<Entry | undefined, FsError> =>
  Effect.catchIf(
    storage.lstat(key),
    (error) => error.reason === "NotFound" || error.reason === "NotDirectory",
    () => Effect.succeed(undefined),
  );
