import { Effect } from "effect";
import { isWithin, parent } from "../../src/vpath.ts";
import { checkConditions, destination, mayChange, submittedTokens } from "./conditions.ts";
import { type Dav, type DavFailure, entryIfAny } from "./context.ts";
import { refuse } from "./status.ts";

/** MKCOL (RFC 4918 section 9.3). */
export const mkcol = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path } } = dav;
    const length = request.headers.get("content-length");
    if ((length !== null && length !== "0") || request.headers.has("transfer-encoding")) {
      return yield* refuse(415, "MKCOL takes no body");
    }
    const tokens = yield* submittedTokens(dav);
    if (yield* entryIfAny(vfs, path)) return yield* refuse(405, "there is something already");
    yield* mayChange(dav, path, tokens);
    yield* mayChange(dav, parent(path), tokens);
    const above = yield* entryIfAny(vfs, parent(path));
    if (above?.kind !== "dir") return yield* refuse(409, "the parent does not exist");
    yield* vfs.mkdir(path);
    return new Response(null, { status: 201 });
  });

/** DELETE of a file or a whole tree (RFC 4918 section 9.6). */
export const remove = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path }, state, user } = dav;
    const depth = request.headers.get("depth");
    const entry = yield* vfs.stat(path);
    if (entry.kind === "dir" && depth !== null && !/^infinity$/i.test(depth)) {
      return yield* refuse(400, "a collection is deleted with Depth: infinity");
    }
    const tokens = yield* submittedTokens(dav);
    if (checkConditions(request, entry) !== undefined) return yield* refuse(412);
    yield* mayChange(dav, path, tokens, true);
    yield* mayChange(dav, parent(path), tokens);
    yield* vfs.removeTree(path);
    yield* state.removed(user.username, path);
    return new Response(null, { status: 204 });
  });

/** COPY and MOVE (RFC 4918 sections 9.8, 9.9). An absent Overwrite is T. */
export const copyOrMove = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path: from }, state, user } = dav;
    const moves = request.method === "MOVE";
    const overwrite = request.headers.get("overwrite")?.trim().toUpperCase() ?? "T";
    if (overwrite !== "T" && overwrite !== "F") return yield* refuse(400, "Overwrite is T or F");
    const depth = (request.headers.get("depth") ?? "infinity").trim().toLowerCase();
    const { path: to } = yield* destination(dav);
    const source = yield* vfs.stat(from);
    const collection = source.kind === "dir";
    if (depth !== "infinity" && (moves && collection || depth !== "0")) {
      return yield* refuse(400, "that Depth is not possible here");
    }
    const tokens = yield* submittedTokens(dav);
    if (checkConditions(request, source) !== undefined) return yield* refuse(412);
    if (isWithin(from, to) || (isWithin(to, from))) {
      return yield* refuse(403, "source and destination are nested");
    }
    if (moves) {
      yield* mayChange(dav, from, tokens, true);
      yield* mayChange(dav, parent(from), tokens);
    }
    const there = yield* entryIfAny(vfs, to);
    if (there && overwrite === "F") return yield* refuse(412, "the destination exists");
    yield* mayChange(dav, to, tokens, true);
    if (!there) yield* mayChange(dav, parent(to), tokens);
    const above = yield* entryIfAny(vfs, parent(to));
    if (above?.kind !== "dir") return yield* refuse(409, "the destination's parent does not exist");
    // A file over a file is replaced in one step; with a collection on a side the old one goes first.
    const replaces = there?.kind === "file" && !collection;
    if (there && !replaces) {
      yield* vfs.removeTree(to);
      yield* state.removed(user.username, to);
    }
    if (moves) {
      yield* vfs.rename(from, to, { replace: replaces });
      yield* state.moved(user.username, from, to);
    } else {
      if (collection && depth === "0") yield* vfs.mkdir(to);
      else yield* vfs.copy(from, to);
      yield* state.copied(user.username, from, to, depth !== "0");
    }
    return new Response(null, { status: there ? 204 : 201 });
  });
