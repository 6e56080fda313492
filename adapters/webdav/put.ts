import { Effect, type Scope } from "effect";
import { etagOf } from "../../actors/http_conditions.ts";
import { receiveBody } from "../../actors/request_body.ts";
import { FsError } from "../../src/errors.ts";
import { toReplace } from "../../src/vfs/vfs.ts";
import { parent } from "../../src/vpath.ts";
import { checkChange, mayChange, submittedTokens } from "./conditions.ts";
import { type Dav, type DavFailure, entryIfAny, mtimeAsked, seen } from "./context.ts";
import { refuse } from "./status.ts";
import { stopwatch } from "../../src/monotonic.ts";

/** Whether a PUT is bound to a version of the file; a lock's token alone is bound to none. */
const restsOnVersion = ({ headers }: Request): boolean =>
  (headers.get("if-match") ?? "*").trim() !== "*" || headers.has("if-unmodified-since") ||
  (headers.get("if") ?? "").includes("[");
/** Milliseconds after which an upload asks once more whether somebody has locked the file. */
const PATIENCE = 200;

/**
 * PUT (RFC 9110 section 9.3.4): the body becomes the file, whole or not at all.
 * What was asked before the first byte is asked again before the file is replaced. A body that is cut fails before `close`, and the scope then drops the upload.
 */
export const put = (dav: Dav): Effect.Effect<Response, DavFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path, slash } } = dav;
    if (request.headers.has("content-range")) {
      return yield* refuse(400, "a part of a file cannot be put");
    }
    const length = request.headers.get("content-length");
    if (length !== null && !Number.isSafeInteger(Number(length))) return yield* refuse(413);
    const there = yield* seen(vfs, path);
    const before = there.entry;
    if (before?.kind === "dir" || slash) return yield* refuse(405, "this is a collection");
    const tokens = yield* submittedTokens(dav);
    yield* checkChange(request, there);
    yield* mayChange(dav, path, tokens);
    if (!before) {
      yield* mayChange(dav, parent(path), tokens);
      const above = yield* seen(vfs, parent(path));
      if (!above.hidden && above.entry?.kind !== "dir") {
        return yield* refuse(409, "the parent does not exist");
      }
    }
    // Whoever wants to be the first is told at the end too, when another was faster.
    const exclusive = !before && request.headers.has("if-none-match");
    const elapsed = stopwatch();
    const late = (error: FsError) =>
      exclusive && error.reason === "AlreadyExists" ? refuse(412) : error;
    const handle = yield* Effect.mapError(vfs.open(path, { ...toReplace, exclusive }), late);
    yield* Effect.tryPromise({
      try: (signal) => receiveBody(request, handle, signal),
      catch: (error) =>
        error instanceof FsError ? error : refuse(400, "the body ended before its end"),
    });
    if (elapsed() > PATIENCE) {
      yield* mayChange(dav, path, tokens);
    }
    if (before && restsOnVersion(request)) {
      const now = yield* entryIfAny(vfs, path);
      // Not the size: of a path that is being written, that is the upload's.
      const first = now?.mtime === before.mtime &&
        (yield* dav.state.claim(dav.user.username, path, etagOf(before)));
      if (!first) return yield* refuse(412, "the file was changed meanwhile");
    }
    const mtime = mtimeAsked(request);
    if (mtime !== undefined) yield* Effect.ignore(handle.setAttributes({ mtime }));
    yield* Effect.mapError(handle.close(), late);
    const headers = new Headers();
    if (mtime !== undefined) headers.set("x-oc-mtime", "accepted");
    const after = yield* Effect.option(vfs.stat(path));
    if (after._tag === "Some") {
      headers.set("etag", etagOf(after.value));
      headers.set("last-modified", new Date(after.value.mtime).toUTCString());
    }
    return new Response(null, { status: before ? 204 : 201, headers });
  });
