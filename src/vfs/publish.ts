import { Effect } from "effect";
import { FsError } from "../errors.ts";
import type { NewEvent } from "../events/event.ts";
import { endProcess, fault } from "../failpoint.ts";
import type { Entry } from "../model/entry.ts";
import type { Unflushed } from "../events/journal.ts";
import type { Logged } from "../storage/storage.ts";
import { nameOf } from "./access.ts";
import { entryIfAny } from "./look.ts";
import type { Usage } from "./quota.ts";
import { promised } from "./promised.ts";
import type { UploadHandle } from "./upload_handle.ts";

/**
 * Commits an upload: data flushed, intention durable, object published, quota
 * settled, event shown; then the client gets its answer. The lock on the path
 * makes the size that is replaced the size that the quota is told, whoever
 * else commits, deletes or renames there.
 */
export const publish = (handle: UploadHandle): Effect.Effect<void, FsError> => {
  const { access, path, writer } = handle;
  return access.locked(
    [access.at(path)],
    Effect.flatMap(counted(handle), (old) => {
      if (!claim(handle, old)) {
        return access.fail("QuotaExceeded", "write", path, "disk quota exceeded");
      }
      const facts = factsOf(handle);
      return Effect.andThen(
        Effect.flatMap(logged(handle), (whole) => {
          if (whole) return journalled(handle, old, writer.size, whole.commit, facts, whole.log);
          // The data goes to the disk while the intention does; both are there before the name.
          const synced = writer.sync();
          synced.catch(() => {});
          const commit = () => synced.then(() => writer.commit(handle.pending)).then(plain);
          return journalled(handle, old, writer.size, commit, facts);
        }),
        access.touchFirst("first_upload"),
      );
    }),
  );
};

/** What a commit did. */
interface Committed {
  readonly entry: Entry;
  readonly unflushed?: Unflushed;
}

const plain = (entry: Entry): Committed => ({ entry });

/** What the intent log keeps of a small upload, so that its client waits for no flush but the log's. */
const logged = (
  { access, path, writer, pending }: UploadHandle,
): Effect.Effect<{ log: Logged; commit: () => Promise<Committed> } | undefined, FsError> => {
  if (!access.services.journal.keepsContent || !writer.redo) return nothingLogged;
  return Effect.try({
    try: () => {
      const log = writer.redo?.(pending);
      return log && { log, commit: () => new Promise((done) => done(log.commit())) };
    },
    catch: (cause) =>
      cause instanceof FsError
        ? cause
        : new FsError({ reason: "Unavailable", op: "close", path, cause }),
  });
};

const nothingLogged = Effect.succeed(undefined);

/** What the event of a published upload says, apart from its size. */
export const factsOf = ({ checksum }: UploadHandle): Partial<NewEvent> =>
  checksum === undefined ? published : { status: 1, checksum };

const published: Partial<NewEvent> = { status: 1 };

/**
 * Ends an upload that was not committed: discards it, or keeps what was
 * received where the mode says so, and makes the quota agree with what is there.
 */
export const abandon = (handle: UploadHandle): Effect.Effect<void> => {
  const { access, path, writer, parts, failure } = handle;
  const status = failure?.reason === "QuotaExceeded" || failure?.reason === "TooLarge" ? 3 : 2;
  const message = failure?.detail ?? failure?.reason ?? "cut off";
  const staged = writer.staged !== undefined;
  const discard = staged && (status === 3 || access.services.common.upload_mode !== 2);
  const keep = Effect.gen(function* () {
    const old = yield* counted(handle);
    if (status === 3 && !staged) {
      // BEHAVIOUR QUOTA-07: what did not fit goes, in every mode; what was there before stays.
      const base = parts.mode === "update" ? parts.existing?.size ?? 0 : 0;
      yield* promised(() => writer.truncate(base), "truncate", path);
    }
    const commit = () => writer.keepPartial().then(plain);
    yield* journalled(handle, old, writer.size, commit, { status, message });
  });
  const record = access.services.journal.record(access.event("upload", path, {
    status,
    message,
    file_size: status === 3 ? 0 : writer.size,
    elapsed: handle.elapsed(),
  }));
  if (discard) return record;
  return Effect.catchAll(access.locked([access.at(path)], keep), () => record);
};

/** Size that the quota counts for the path now; undefined when there is no file. */
const counted = (handle: UploadHandle): Effect.Effect<number | undefined, FsError> => {
  const { access, path } = handle;
  const { storage, key } = access.at(path);
  return Effect.map(
    entryIfAny(access, path, true),
    (entry) => access.services.uploads.counted(storage.identity, key, entry?.size),
  );
};

/** Takes more quota if the file that was to be replaced has become smaller, or is gone; false when it does not fit. */
export const claim = ({ writer, parts }: UploadHandle, old: number | undefined): boolean => {
  const missing = Math.max(0, (parts.existing?.size ?? 0) - (old ?? 0));
  return parts.lease.grow(writer.size + missing);
};

/** What the usage moves by when a file of `size` bytes takes the place of one of `old`; undefined is none. */
export const changeOf = (old: number | undefined, size: number): Usage => ({
  bytes: size - (old ?? 0),
  files: old === undefined ? 1 : 0,
});

const journalled = (
  handle: UploadHandle,
  old: number | undefined,
  size: number,
  commit: () => Promise<Committed>,
  facts: Partial<NewEvent>,
  log?: Logged,
): Effect.Effect<Committed, FsError> => {
  const { access, path, writer, parts } = handle;
  const spot = access.at(path);
  const { storage, key } = spot;
  const { uploads } = access.services;
  const { staged } = writer;
  return access.journalled(
    access.event("upload", path, { ...facts, file_size: size }),
    staged === undefined
      ? { kind: "extend", key }
      : { kind: "publish", key, staged, ...(log && { redo: log.redo }) },
    changeOf(old, size),
    promised(
      () => {
        if (fault("publish.before_commit", path) === "kill") endProcess();
        return commit().then((committed) => {
          if (fault("publish.after_commit", path) === "kill") endProcess();
          return committed;
        });
      },
      "close",
      path,
    ),
    ({ entry, unflushed }) => ({
      facts: { file_size: entry.size, elapsed: handle.elapsed() },
      usage: changeOf(old, entry.size),
      unflushed: unflushed && access.services.late.enter(nameOf(spot), unflushed),
    }),
    (usage) =>
      Effect.sync(() => {
        const moved = parts.lease.settle(usage);
        uploads.recount(storage.identity, key, (old ?? 0) + usage.bytes);
        return moved;
      }),
    log?.content,
  );
};
