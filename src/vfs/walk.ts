import { Effect, Stream } from "effect";
import type { FsError } from "../errors.ts";
import type { Entry } from "../model/entry.ts";
import { child, type VPath } from "../vpath.ts";
import type { Access } from "./access.ts";

/** Nested levels after which a walk stops with an error (BEHAVIOUR ARCH-07). */
export const maxDepth = 1000;

export interface Visitor {
  /** A file, link or special file. */
  readonly leaf: (path: VPath, entry: Entry) => Effect.Effect<void, FsError>;
  readonly enter: (path: VPath, entry: Entry) => Effect.Effect<void, FsError>;
  readonly leave: (path: VPath) => Effect.Effect<void, FsError>;
}

/**
 * Walks a tree depth first, without following links, hidden names included.
 *
 * One directory's names are read before its entries are visited, so that a
 * visitor may remove them.
 */
export const walk = (
  access: Access,
  top: VPath,
  visitor: Visitor,
  depth = 0,
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    if (depth > maxDepth) {
      return yield* access.fail("Unsupported", "walk", top, "too many nested directories");
    }
    const { storage, key } = access.at(top);
    const entries = yield* Stream.runCollect(storage.list(key));
    for (const entry of entries) {
      const path = child(top, entry.name);
      if (entry.kind !== "dir") yield* visitor.leaf(path, entry);
      else {
        yield* visitor.enter(path, entry);
        yield* walk(access, path, visitor, depth + 1);
        yield* visitor.leave(path);
      }
    }
  });
