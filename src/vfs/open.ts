import { Effect, Exit, Scope } from "effect";
import type { FsError, FsReason } from "../errors.ts";
import { fault } from "../failpoint.ts";
import type { Entry } from "../model/entry.ts";
import type { WriteMode } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { entryIfAny } from "./look.ts";
import { ReadHandle } from "./read_handle.ts";
import type { Handle, OpenOptions } from "./vfs.ts";
import { UploadHandle } from "./upload_handle.ts";

/**
 * Opens a file, and owns every check of it (BEHAVIOUR SFTP-03 to SFTP-07).
 *
 * What the handle holds is given back by `close`, or by the scope, which
 * aborts an upload that was not closed.
 */
export const open = (
  access: Access,
  path: VPath,
  options: OpenOptions,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  Effect.gen(function* () {
    const injected = fault("vfs.open", path);
    if (injected === "die") return yield* Effect.die(new Error(`failpoint vfs.open ${path}`));
    if (injected === "fail") return yield* access.fail("Unavailable", "open", path);
    if (path === "/") return yield* access.fail("IsDirectory", "open", path);
    const inner = yield* Effect.acquireRelease(Scope.make(), (s) => Scope.close(s, Exit.void));
    const writes = options.write || options.append;
    const opened = writes
      ? openToWrite(access, path, options, inner)
      : openToRead(access, path, inner);
    const record = access.recordFailure(access.event(writes ? "upload" : "download", path));
    return yield* Scope.extend(opened, inner).pipe(
      Effect.onError((cause) => Scope.close(inner, Exit.failCause(cause))),
      Effect.tapError((error) => unremarkable.has(error.reason) ? Effect.void : record(error)),
    );
  });

/** Answers to a look whether something is there; everything else goes into the journal. */
const unremarkable: ReadonlySet<FsReason> = new Set(["NotFound", "AlreadyExists", "IsDirectory"]);

const openToRead = (
  access: Access,
  path: VPath,
  scope: Scope.CloseableScope,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* access.check("read", path);
    const { storage, key } = access.at(path);
    const reader = yield* storage.reader(key);
    const handle = new ReadHandle(access, path, reader, scope);
    yield* Effect.addFinalizer(() => handle.leave());
    return handle;
  });

const openToWrite = (
  access: Access,
  path: VPath,
  options: OpenOptions,
  scope: Scope.CloseableScope,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  Effect.gen(function* () {
    const { services: { quota, common }, user } = access;
    yield* access.check("create", path);
    const { storage, key } = access.at(path);
    if (storage.can.write === "none") return yield* access.fail("ReadOnly", "open", path);
    const existing = yield* entryIfAny(access, path, !(options.create && options.exclusive));
    yield* checkTarget(access, path, existing, options);
    if (options.read && storage.can.write !== "random") {
      return yield* access.fail("Unsupported", "open", path, "no read-write access here");
    }
    const mode: WriteMode = !existing
      ? options.exclusive ? "create" : "replace"
      : options.truncate
      ? "replace"
      : "update";
    // Modes in OPEN are a chmod by another name.
    const permissions = access.may("chmod", path) ? options.attributes?.mode : undefined;
    const lease = yield* Effect.acquireRelease(
      quota.reserve(user, path, existing?.size),
      (taken) => Effect.sync(() => taken.release()),
    );
    if (mode === "update") lease.grow(existing?.size ?? 0);
    const writer = yield* storage.writer(key, {
      mode,
      direct: common.upload_mode === 0,
      ...(permissions === undefined ? {} : { permissions: permissions & 0o777 }),
    });
    const handle = yield* Effect.try({
      try: () => new UploadHandle(access, path, { options, mode, existing, lease, writer, scope }),
      catch: (error) => error as FsError,
    });
    yield* Effect.addFinalizer(() => handle.leave());
    return handle;
  });

const checkTarget = (
  access: Access,
  path: VPath,
  existing: Entry | undefined,
  options: OpenOptions,
): Effect.Effect<void, FsError> => {
  if (!existing) return options.create ? Effect.void : access.fail("NotFound", "open", path);
  if (options.create && options.exclusive) return access.fail("AlreadyExists", "open", path);
  if (existing.kind === "dir") return access.fail("IsDirectory", "open", path);
  if (existing.kind !== "file") return access.fail("Denied", "open", path, "not a regular file");
  return access.check("overwrite", path);
};
