import { Cause, Effect, Exit, Option, Scope } from "effect";
import type { FsError, FsReason } from "../errors.ts";
import { fault } from "../failpoint.ts";
import { held } from "../held.ts";
import type { Entry } from "../model/entry.ts";
import type { WriteMode } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { entryIfAny } from "./look.ts";
import type { Lease } from "./quota.ts";
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
  Effect.suspend(() => {
    const injected = fault("vfs.open", path);
    if (injected === "die") return Effect.die(new Error(`failpoint vfs.open ${path}`));
    if (injected === "fail") return access.fail("Unavailable", "open", path);
    if (path === "/") return access.fail("IsDirectory", "open", path);
    const writes = options.write || options.append;
    return Effect.flatMap(
      held(Scope.make(), (s) => Scope.close(s, Exit.void)),
      (inner) =>
        Effect.tapErrorCause(
          Scope.extend(
            writes ? openToWrite(access, path, options, inner) : openToRead(access, path, inner),
            inner,
          ),
          (cause) => Effect.andThen(Scope.close(inner, Exit.failCause(cause)), record(cause)),
        ),
    );
    function record(cause: Cause.Cause<FsError>): Effect.Effect<void> {
      const error = Option.getOrUndefined(Cause.failureOption(cause));
      return error && !unremarkable.has(error.reason)
        ? access.recordFailure(access.event(writes ? "upload" : "download", path))(error)
        : Effect.void;
    }
  });

/** Answers to a look whether something is there; everything else goes into the journal. */
const unremarkable: ReadonlySet<FsReason> = new Set(["NotFound", "AlreadyExists", "IsDirectory"]);

const openToRead = (
  access: Access,
  path: VPath,
  scope: Scope.CloseableScope,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  Effect.andThen(
    access.check("read", path),
    Effect.suspend(() => {
      const { storage, key } = access.at(path);
      return Effect.flatMap(storage.reader(key), (reader) => {
        const handle = new ReadHandle(access, path, reader, scope);
        return Effect.as(Scope.addFinalizer(scope, handle.leave()), handle);
      });
    }),
  );

/**
 * Runs once for every small file that is put, and so takes as few steps as it
 * can: whatever is refused without asking the storage is refused in one.
 */
const openToWrite = (
  access: Access,
  path: VPath,
  options: OpenOptions,
  scope: Scope.CloseableScope,
): Effect.Effect<Handle, FsError, Scope.Scope> =>
  Effect.suspend(() => {
    const { services: { quota, common, journal }, user } = access;
    const denied = access.verdict("create", path);
    if (denied) return Effect.fail(denied);
    const { storage, key } = access.at(path);
    if (storage.can.write === "none") return access.fail("ReadOnly", "open", path);
    const found = entryIfAny(access, path, !(options.create && options.exclusive));
    return Effect.flatMap(found, (existing) => {
      const refused = refusal(access, path, existing, options);
      if (refused) return Effect.fail(refused);
      if (options.read && storage.can.write !== "random") {
        return access.fail("Unsupported", "open", path, "no read-write access here");
      }
      const mode: WriteMode = !existing
        ? options.exclusive ? "create" : "replace"
        : options.truncate
        ? "replace"
        : "update";
      // Modes in OPEN are a chmod by another name.
      const permissions = options.attributes?.mode !== undefined && access.may("chmod", path)
        ? options.attributes.mode
        : undefined;
      const start = (lease: Lease) => {
        if (mode === "update") lease.grow(existing?.size ?? 0);
        const writer = storage.writer(key, {
          mode,
          direct: common.upload_mode === 0,
          redo: journal.keepsContent,
          ...(permissions === undefined ? {} : { permissions: permissions & 0o777 }),
        });
        return Effect.flatMap(writer, (writer) => {
          const parts = { options, mode, existing, lease, writer, scope };
          return Effect.flatMap(
            Effect.try({
              try: () => new UploadHandle(access, path, parts),
              catch: (error) => error as FsError,
            }),
            (handle) => Effect.as(Scope.addFinalizer(scope, handle.leave()), handle),
          );
        });
      };
      return Effect.flatMap(
        held(
          quota.reserve(user, path, existing?.size),
          (taken) => Effect.sync(() => taken.release()),
        ),
        start,
      );
    });
  });

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
