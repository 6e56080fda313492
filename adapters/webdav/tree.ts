import { Effect } from "effect";
import type { FsError } from "../../src/errors.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { child, isWithin, parent, type VPath } from "../../src/vpath.ts";
import { checkChange, destination, mayChange, submittedTokens } from "./conditions.ts";
import { type Dav, type DavFailure, mtimeAsked, readText, seen, seenSource } from "./context.ts";
import { refuse } from "./status.ts";

/** MKCOL (RFC 4918 section 9.3). */
export const mkcol = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path } } = dav;
    if ((yield* readText(request)) !== "") return yield* refuse(415, "MKCOL takes no body");
    const tokens = yield* submittedTokens(dav);
    if ((yield* seen(vfs, path)).entry) return yield* refuse(405, "there is something already");
    yield* mayChange(dav, path, tokens);
    yield* mayChange(dav, parent(path), tokens);
    const above = yield* seen(vfs, parent(path));
    if (!above.hidden && above.entry?.kind !== "dir") return yield* noParent();
    yield* Effect.catchIf(
      vfs.mkdir(path),
      ({ reason }) => above.hidden && reason === "NotFound",
      noParent,
    );
    return new Response(null, { status: 201 });
  });

/** DELETE of a file or a whole tree (RFC 4918 section 9.6). */
export const remove = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path }, state, user } = dav;
    const depth = request.headers.get("depth");
    const there = yield* seenSource(vfs, path);
    if (there.entry?.kind === "dir" && depth !== null && !/^infinity$/i.test(depth)) {
      return yield* refuse(400, "a collection is deleted with Depth: infinity");
    }
    const tokens = yield* submittedTokens(dav);
    yield* checkChange(request, there);
    yield* mayChange(dav, path, tokens, true);
    yield* mayChange(dav, parent(path), tokens);
    yield* vfs.removeTree(path);
    yield* state.follow(user.username);
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
    const source = yield* seenSource(vfs, from);
    const collection = source.entry?.kind === "dir";
    if (depth !== "infinity" && (moves && collection || depth !== "0" || source.hidden)) {
      return yield* refuse(400, "that Depth is not possible here");
    }
    const tokens = yield* submittedTokens(dav);
    yield* checkChange(request, source);
    if (isWithin(from, to) || (isWithin(to, from))) {
      return yield* refuse(403, "source and destination are nested");
    }
    if (moves) {
      yield* mayChange(dav, from, tokens, true);
      yield* mayChange(dav, parent(from), tokens);
    }
    const target = yield* seen(vfs, to);
    const there = target.entry;
    const replaces = overwrite === "T";
    if (there && !replaces) return yield* exists();
    yield* mayChange(dav, to, tokens, true);
    if (!there) yield* mayChange(dav, parent(to), tokens);
    const above = yield* seen(vfs, parent(to));
    if (!above.hidden && above.entry?.kind !== "dir") return yield* noParent();
    // Events of before and of now take locks and properties along; others ask for them next.
    yield* state.follow(user.username);
    const make = (at: VPath, onto: "nothing" | "file") =>
      collection && depth === "0" ? vfs.mkdir(at) : vfs.copy(from, at, { onto });
    const plain = () =>
      moves
        ? vfs.rename(from, to, { replace: target.hidden ? replaces : there !== undefined })
        : make(to, replaces ? "file" : "nothing");
    const made = besides(to, "new");
    const apart = () =>
      moves ? swap(vfs, { to, from }) : Effect.andThen(
        mayReplace(vfs, made),
        Effect.andThen(make(made, "nothing"), swap(vfs, { to, from: made })).pipe(
          Effect.onError(() => Effect.ignore(vfs.removeTree(made))),
        ),
      );
    if (source.hidden || target.hidden) {
      // What is there shows in how the plain way fails, to whoever may go it.
      const instead = (): Effect.Effect<void, DavFailure> => replaces ? apart() : exists();
      yield* Effect.catchIf(plain(), isInTheWay, instead);
    } else yield* there && (collection || there.kind === "dir") ? apart() : plain();
    yield* state.follow(user.username);
    if (!moves) yield* state.copied(user.username, from, to, depth !== "0");
    const mtime = moves ? mtimeAsked(request) : undefined;
    if (mtime !== undefined) yield* Effect.ignore(vfs.setAttributes(to, { mtime }));
    return new Response(null, {
      status: there ? 204 : 201,
      headers: mtime === undefined ? {} : { "x-oc-mtime": "accepted" },
    });
  });

const noParent = () => Effect.fail(refuse(409, "the parent does not exist"));
const exists = () => Effect.fail(refuse(412, "the destination exists"));

/** How a rename or copy ends that a collection, on either side, keeps from being a plain one. */
const isInTheWay = ({ reason }: FsError): boolean =>
  reason === "AlreadyExists" || reason === "IsDirectory" || reason === "NotDirectory" ||
  reason === "Unsupported";

/**
 * Puts `from` in the place of `to`, where one of them is a collection.
 *
 * What was there steps aside first and is removed last, and comes back when
 * either is refused: a request that fails costs nobody the target. A crash in
 * between leaves it under its other name.
 */
const swap = (
  vfs: Vfs,
  { to, from }: { readonly to: VPath; readonly from: VPath },
): Effect.Effect<void, FsError> =>
  Effect.uninterruptible(Effect.gen(function* () {
    const old = besides(to, "old");
    const back = Effect.ignore(vfs.rename(old, to, { replace: false }));
    yield* vfs.rename(to, old, { replace: false });
    yield* Effect.tapError(vfs.rename(from, to, { replace: false }), () => back);
    yield* Effect.tapError(
      vfs.removeTree(old),
      () => Effect.andThen(Effect.ignore(vfs.rename(to, from, { replace: false })), back),
    );
  }));

/** Refuses who may not rename and remove in that directory, before a copy is there that nobody could take away. */
const mayReplace = (vfs: Vfs, nobody: VPath): Effect.Effect<void, FsError> =>
  Effect.forEach(
    [vfs.rename(nobody, besides(nobody, "old"), { replace: false }), vfs.removeTree(nobody)],
    (step) => Effect.catchIf(step, ({ reason }) => reason === "NotFound", () => Effect.void),
    { discard: true },
  );

/** A name next to a path that nobody has: hidden, and short whatever the path's own is. */
const besides = (path: VPath, what: "new" | "old"): VPath =>
  child(parent(path), `.webdav-${what}-${crypto.randomUUID()}`);
