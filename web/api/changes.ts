import { Effect } from "effect";
import { parent } from "../../src/vpath.ts";
import { done, type Failure, refuse } from "./failure.ts";
import { lookIfAllowed, milliseconds, pathOf, readJson } from "./request.ts";
import type { Call } from "./site.ts";
import { makeDirectories } from "./upload.ts";

/** `PATCH /user/files` and `/user/dirs`: another name; an existing file there is replaced. */
export const rename = (call: Call): Effect.Effect<Response, Failure> => moveTo(call, false);

/** `POST /user/file-actions/move`: the same, and what is missing above the target is made (BEHAVIOUR FS-07). */
export const move = (call: Call): Effect.Effect<Response, Failure> => moveTo(call, true);

const moveTo = ({ vfs, query }: Call, makeParents: boolean): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const from = yield* pathOf(vfs, query, "path");
    const to = yield* pathOf(vfs, query, "target");
    if (makeParents) {
      // Before anything is made for something that does not exist.
      yield* lookIfAllowed(vfs, from);
      yield* makeDirectories(vfs, parent(to));
    }
    yield* vfs.rename(from, to, { replace: true });
    return done(`${from} moved to ${to}`);
  });

/** `POST /user/file-actions/copy` (BEHAVIOUR FS-09). */
export const copy = ({ vfs, query }: Call): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const from = yield* pathOf(vfs, query, "path");
    const to = yield* pathOf(vfs, query, "target");
    yield* vfs.copy(from, to, { intoSlash: query.get("target")?.endsWith("/") === true });
    return done(`${from} copied to ${to}`);
  });

/** `DELETE /user/files`. */
export const removeFile = ({ vfs, query }: Call): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const path = yield* pathOf(vfs, query, "path");
    yield* Effect.catchIf(
      vfs.remove(path),
      ({ reason }) => reason === "IsDirectory",
      () => refuse(400, "the path is a directory"),
    );
    return done("File deleted");
  });

/** `PATCH /user/files/metadata`: `{ "modification_time": unix milliseconds }`. */
export const setMetadata = ({ request, vfs, query }: Call): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const path = yield* pathOf(vfs, query, "path");
    const body = yield* readJson(request);
    const given = typeof body === "object" && body !== null && "modification_time" in body
      ? body.modification_time
      : undefined;
    const mtime = typeof given === "number" ? milliseconds(given) : undefined;
    if (mtime === undefined || Number.isNaN(mtime)) {
      return yield* refuse(400, "modification_time is to be a number of milliseconds");
    }
    yield* vfs.setAttributes(path, { mtime });
    return done("OK");
  });
