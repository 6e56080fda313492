import { Cause, Effect, Exit, Option, Scope } from "effect";
import { FsError, type FsReason } from "../errors.ts";
import { fault } from "../failpoint.ts";
import { held } from "../held.ts";
import type { Entry } from "../model/entry.ts";
import type { AtOnce, Releasable, WriteMode, WriteOptions, Writer } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { attempt } from "./attempt.ts";
import { endingNow } from "./ending.ts";
import { entryIfAny, storedNow } from "./look.ts";
import { ReadHandle } from "./read_handle.ts";
import type { Handle, OpenOptions, OwnedHandle } from "./vfs.ts";
import { UploadHandle } from "./upload_handle.ts";

/**
 * Opens a file, and owns every check of it (BEHAVIOUR SFTP-03 to SFTP-07).
 *
 * What the handle holds is given back by `close`, or by `leave`, which aborts
 * an upload that was not closed and has to be called in any case. To be run
 * uninterruptibly, so that no handle is lost; a storage that has to be waited
 * for can be interrupted all the same.
 */
export const openFile = (
  access: Access,
  path: VPath,
  options: OpenOptions,
): Effect.Effect<OwnedHandle, FsError> =>
  Effect.suspend(() => {
    const injected = fault("vfs.open", path);
    if (injected === "die") return Effect.die(new Error(`failpoint vfs.open ${path}`));
    if (injected === "fail") return access.fail("Unavailable", "open", path);
    if (path === "/") return access.fail("IsDirectory", "open", path);
    const writes = options.write || options.append;
    return Effect.tapErrorCause(
      writes ? openToWrite(access, path, options) : openToRead(access, path),
      (cause) => {
        const error = Option.getOrUndefined(Cause.failureOption(cause));
        return error && !unremarkable.has(error.reason)
          ? access.recordFailure(access.event(writes ? "upload" : "download", path))(error)
          : Effect.void;
      },
    );
  });

/** The same in a scope, which leaves the file. */
export const open = (
  access: Access,
  path: VPath,
  options: OpenOptions,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  held(openFile(access, path, options), (handle) => handle.leave());

/** Answers to a look whether something is there; everything else goes into the journal. */
const unremarkable: ReadonlySet<FsReason> = new Set(["NotFound", "AlreadyExists", "IsDirectory"]);

/**
 * The same in this turn of the event loop. Undefined where something has to be
 * waited for, or is refused: {@linkcode openFile} then does it, or says why not.
 */
export const openNow = (
  access: Access,
  path: VPath,
  options: OpenOptions,
): OwnedHandle | undefined => {
  if (path === "/" || fault("vfs.open", path)) return undefined;
  const { atOnce } = access.at(path).storage;
  if (!atOnce) return undefined;
  try {
    return options.write || options.append
      ? writeNow(access, path, options, true)
      : readNow(access, path, atOnce);
  } catch (error) {
    if (error instanceof FsError) return undefined;
    throw error;
  }
};

const openToRead = (access: Access, path: VPath): Effect.Effect<OwnedHandle, FsError> =>
  Effect.suspend(() => {
    const { storage, key } = access.at(path);
    const { atOnce } = storage;
    if (atOnce) return attempt(() => readNow(access, path, atOnce));
    const spent = access.limits?.refusal("download", path);
    if (spent) return Effect.fail(spent);
    return Effect.andThen(
      access.check("read", path),
      inScope((later) =>
        Effect.map(
          storage.reader(key),
          (reader) => new ReadHandle(access, path, reader, { later }),
        )
      ),
    );
  });

const readNow = (access: Access, path: VPath, atOnce: AtOnce): OwnedHandle => {
  const denied = access.verdict("read", path) ?? access.limits?.refusal("download", path);
  if (denied) throw denied;
  const reader = atOnce.reader(access.at(path).key);
  return new ReadHandle(access, path, reader, endingNow(() => reader.release()));
};

/** Opens something in a scope that `end` closes; a failure, and an interruption, closes it at once. */
const inScope = (
  make: (end: Effect.Effect<void>) => Effect.Effect<OwnedHandle, FsError, Scope.Scope>,
): Effect.Effect<OwnedHandle, FsError> =>
  Effect.uninterruptible(Effect.flatMap(Scope.make(), (scope) =>
    Effect.onError(
      Effect.interruptible(Scope.extend(make(Scope.close(scope, Exit.void)), scope)),
      (cause) => Scope.close(scope, Exit.failCause(cause)),
    )));

const openToWrite = (
  access: Access,
  path: VPath,
  options: OpenOptions,
): Effect.Effect<OwnedHandle, FsError> =>
  Effect.flatMap(attempt(() => writeNow(access, path, options)), (handle) => {
    if (handle) return Effect.succeed(handle);
    const { storage, key } = access.at(path);
    const { services: { quota } } = access;
    return Effect.flatMap(
      entryIfAny(access, path, follows(options)),
      (existing) =>
        inScope((later) =>
          Effect.gen(function* () {
            const how = yield* attempt(() => plan(access, path, existing, options));
            const lease = yield* held(
              quota.reserve(access.payer(access.at(path)), path, existing?.size),
              (taken) => Effect.sync(() => taken.release()),
            );
            if (how.mode === "update") lease.grow(existing?.size ?? 0);
            const writer = yield* storage.writer(key, how);
            const parts = { options, mode: how.mode, existing, lease, writer };
            return yield* attempt(() =>
              new UploadHandle(access, path, { ...parts, ending: { later } })
            );
          })
        ),
    );
  });

/**
 * Opens an upload in one step; undefined where something has to be waited for.
 * Runs once for every small file that is put. Throws FsError.
 */
const writeNow = (
  access: Access,
  path: VPath,
  options: OpenOptions,
  lazy = false,
): OwnedHandle | undefined => {
  const denied = access.verdict("create", path);
  if (denied) throw denied;
  const { storage: { can, atOnce }, key } = access.at(path);
  if (can.write === "none") throw access.error("ReadOnly", "open", path);
  const account = access.services.quota.atHand(access.payer(access.at(path)));
  if (!atOnce || !account) return undefined;
  const existing = storedNow(atOnce, key, follows(options));
  const how = plan(access, path, existing, options);
  const lease = account.reserve(path, existing?.size);
  let writer: Writer & Releasable | undefined;
  const release = () => {
    writer?.release();
    lease.release();
  };
  try {
    if (how.mode === "update") lease.grow(existing?.size ?? 0);
    writer = atOnce.writer(key, { ...how, lazy });
    const parts = { options, mode: how.mode, existing, lease, writer };
    return new UploadHandle(access, path, { ...parts, ending: endingNow(release) });
  } catch (error) {
    release();
    throw error;
  }
};

/** A new name is looked at itself; what is to be replaced may be reached by a link. */
const follows = (options: OpenOptions): boolean => !(options.create && options.exclusive);

/** How an upload is to be written. Throws what it is refused with. */
export const plan = (
  access: Access,
  path: VPath,
  existing: Entry | undefined,
  options: OpenOptions,
): WriteOptions => {
  const refused = refusal(access, path, existing, options) ??
    access.limits?.refusal("upload", path);
  if (refused) throw refused;
  if (options.read && access.at(path).storage.can.write !== "random") {
    throw access.error("Unsupported", "open", path, "no read-write access here");
  }
  const mode: WriteMode = !existing
    ? options.exclusive ? "create" : "replace"
    : options.truncate
    ? "replace"
    : "update";
  const { common, journal } = access.services;
  // Modes in OPEN are a chmod by another name.
  const permissions = options.attributes?.mode !== undefined && access.may("chmod", path)
    ? options.attributes.mode & 0o777
    : undefined;
  return {
    mode,
    direct: common.upload_mode === 0,
    redo: journal.keepsContent,
    ...(permissions === undefined ? {} : { permissions }),
  };
};

const refusal = (
  access: Access,
  path: VPath,
  existing: Entry | undefined,
  options: OpenOptions,
): FsError | undefined => {
  if (!existing) return options.create ? undefined : access.error("NotFound", "open", path);
  if (options.create && options.exclusive) return access.error("AlreadyExists", "open", path);
  if (existing.kind === "dir") return access.error("IsDirectory", "open", path);
  if (existing.kind !== "file") {
    return access.error("Denied", "open", path, "not a regular file");
  }
  return access.verdict("overwrite", path);
};
