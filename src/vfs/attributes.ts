import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { Attributes } from "../model/entry.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { entryAt } from "./look.ts";
import { promised } from "./promised.ts";

/**
 * Checks what a client asks to change, and leaves out what `setstat_mode` says
 * to ignore (BEHAVIOUR FS-01, FS-14).
 */
export const attributesAllowed = (
  access: Access,
  path: VPath,
  attributes: Attributes,
): Effect.Effect<Attributes, FsError> =>
  Effect.gen(function* () {
    const { size, mode, uid, gid, atime, mtime } = attributes;
    const owner = uid !== undefined || gid !== undefined;
    const times = atime !== undefined || mtime !== undefined;
    if (size !== undefined) yield* access.check("truncate", path);
    if (mode !== undefined) yield* access.check("chmod", path);
    if (owner) yield* access.check("chown", path);
    if (times) yield* access.check("chtimes", path);
    const { can } = access.at(path).storage;
    const how = access.services.common.setstat_mode;
    const modes = how === 0 || (how === 2 && can.modes);
    const stamps = how === 0 || (how === 2 && can.setMtime);
    return {
      ...(size === undefined ? {} : { size }),
      // No set-user-id and the like: where the server runs as root such a file would be its own.
      ...(modes && mode !== undefined ? { mode: mode & 0o777 } : {}),
      ...(modes && uid !== undefined ? { uid } : {}),
      ...(modes && gid !== undefined ? { gid } : {}),
      ...(stamps && atime !== undefined ? { atime } : {}),
      ...(stamps && mtime !== undefined ? { mtime } : {}),
    };
  });

/** Changes attributes of a path; those of an upload in progress are kept for its commit. */
export const setAttributes = (
  access: Access,
  path: VPath,
  attributes: Attributes,
  follow: boolean,
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    if (Object.keys(attributes).length === 0) yield* access.check("stat", path);
    const { size, ...rest } = yield* attributesAllowed(access, path, attributes);
    const { storage, key } = access.at(path);
    const upload = access.services.uploads.latest(storage.identity, key);
    if (upload) {
      if (size !== undefined) yield* promised(() => upload.truncate(size), "setattr", path);
      upload.remember(rest);
      return;
    }
    if (access.services.uploads.perhapsElsewhere(storage.identity, key)) {
      const { elsewhere } = access.services;
      const given = { ...rest, ...(size === undefined ? {} : { size }) };
      if (yield* elsewhere.setAttributes(storage.identity, key, given)) return;
    }
    yield* entryAt(access, path, follow);
    if (size !== undefined) yield* truncate(access, path, size);
    if (Object.keys(rest).length > 0) yield* storage.setAttributes(key, rest, { follow });
  });

/** Cuts or extends a file; the quota changes by the signed difference (BEHAVIOUR FS-02). */
const truncate = (access: Access, path: VPath, size: number): Effect.Effect<void, FsError> => {
  const spot = access.at(path);
  const { quota } = access.services;
  return access.locked(
    [spot],
    Effect.scoped(Effect.gen(function* () {
      const entry = yield* entryAt(access, path, true);
      if (entry.kind === "dir") return yield* access.fail("IsDirectory", "truncate", path);
      const bytes = size - entry.size;
      const lease = yield* Effect.acquireRelease(
        bytes > 0 ? quota.reserve(access.payer(spot), path, entry.size) : Effect.succeed(undefined),
        (taken) => Effect.sync(() => taken?.release()),
      );
      if (lease && !lease.grow(size)) {
        return yield* access.fail("QuotaExceeded", "truncate", path, "disk quota exceeded");
      }
      yield* access.journalled(
        access.event("upload", path, { file_size: size }),
        { kind: "extend", key: spot.key },
        { bytes, files: 0 },
        spot.storage.setAttributes(spot.key, { size }, { follow: true }),
        () => ({ usage: { bytes, files: 0 } }),
        (usage) =>
          lease ? Effect.sync(() => lease.settle(usage)) : quota.adjust(access.payer(spot), usage),
      );
    })),
  );
};
