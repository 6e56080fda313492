import { Effect, Either, type Scope } from "effect";
import { checkConditions } from "../../actors/http_conditions.ts";
import { PieceWriter } from "../../actors/piece_writer.ts";
import { receiveBody } from "../../actors/request_body.ts";
import { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import { type Handle, toReplace, type Vfs } from "../../src/vfs/vfs.ts";
import { child, lineage, parent, parseClientPath, type VPath } from "../../src/vpath.ts";
import { done, type Failure, refuse } from "./failure.ts";
import { Form, type FormFile } from "./form.ts";
import { flagOf, milliseconds, ownHeader, pathOf, pathOrHome } from "./request.ts";
import type { Call } from "./site.ts";

/** `POST /user/files/upload`: the body becomes the file at `path`, whole or not at all. */
export const uploadBody = (call: Call): Effect.Effect<Response, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, query } = call;
    if (request.headers.has("content-range")) {
      return yield* refuse(400, "a part of a file cannot be uploaded here");
    }
    const length = request.headers.get("content-length");
    if (length !== null && !Number.isSafeInteger(Number(length))) {
      return yield* refuse(413, "no file is that large");
    }
    const mtime = milliseconds(ownHeader(request, "mtime"));
    if (Number.isNaN(mtime)) return yield* refuse(400, "the modification time is no number");
    const path = yield* pathOf(vfs, query, "path");
    if (isConditional(request)) {
      const before = yield* entryIfAny(vfs, path);
      if (checkConditions(request, before) !== undefined) {
        return yield* refuse(412, "the file is another than you know");
      }
    }
    if (flagOf(query, "mkdir_parents")) yield* makeDirectories(vfs, parent(path));
    const handle = yield* vfs.open(path, toReplace);
    yield* Effect.tryPromise({
      try: (signal) => receiveBody(request, handle, signal),
      catch: cutOff,
    });
    yield* commit(handle, mtime);
    return done("Upload completed", 201);
  });

/** `POST /user/files`: each file of a form becomes one in the directory `path`, in order. */
export const uploadForm = (call: Call): Effect.Effect<Response, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, query } = call;
    const dir = yield* pathOrHome(vfs, query, "path");
    const mtime = milliseconds(ownHeader(request, "mtime"));
    if (Number.isNaN(mtime)) return yield* refuse(400, "the modification time is no number");
    const form = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new Form(request),
        catch: () => refuse(400, "the body is no multipart/form-data with a boundary"),
      }),
      (form) => Effect.sync(() => form.cancel()),
    );
    if (flagOf(query, "mkdir_parents")) yield* makeDirectories(vfs, dir);
    let count = 0;
    for (;;) {
      const file = yield* Effect.tryPromise({ try: () => form.next(), catch: cutOff });
      if (!file) break;
      yield* Effect.scoped(store(vfs, dir, file, mtime));
      count += 1;
    }
    if (count === 0) return yield* refuse(400, "no file in the field filenames");
    return done("Upload completed", 201);
  });

const store = (vfs: Vfs, dir: VPath, file: FormFile, mtime: number | undefined) =>
  Effect.gen(function* () {
    if (file.field !== "filenames") {
      return yield* refuse(400, "files belong in the field filenames");
    }
    const handle = yield* vfs.open(yield* nameIn(dir, file.filename), toReplace);
    yield* Effect.tryPromise({
      try: async (signal) => {
        const writer = new PieceWriter(handle);
        for await (const chunk of file.data) {
          signal.throwIfAborted();
          await writer.push(chunk);
        }
        await writer.end();
      },
      catch: cutOff,
    });
    yield* commit(handle, mtime);
  });

/** Where a file of a form goes: clients may send the path that it has on their side, of which the last name counts. */
const nameIn = (dir: VPath, filename: string | undefined): Effect.Effect<VPath, Failure> =>
  Effect.gen(function* () {
    const parts = (filename ?? "").split(/[/\\]/);
    const name = parts.at(-1) ?? "";
    if (name === "" || name === "." || parts.includes("..")) {
      return yield* refuse(400, "a file has no usable name");
    }
    return yield* Effect.map(parseClientPath(name, dir, "upload"), () => child(dir, name));
  });

/** The time is a wish: who may not set it uploads all the same. */
const commit = (handle: Handle, mtime: number | undefined): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    if (mtime !== undefined) yield* Effect.ignore(handle.setAttributes({ mtime }));
    yield* handle.close();
  });

const cutOff = (error: unknown): Failure =>
  error instanceof FsError ? error : refuse(400, "the body is malformed, or ended before its end");

const isConditional = ({ headers }: Request) =>
  headers.has("if-match") || headers.has("if-none-match") || headers.has("if-unmodified-since");

/** What is there, undefined for nothing. */
const entryIfAny = (vfs: Vfs, path: VPath): Effect.Effect<Entry | undefined, FsError> =>
  Effect.catchIf(
    vfs.stat(path),
    ({ reason }) => reason === "NotFound" || reason === "NotDirectory",
    () => Effect.succeed(undefined),
  );

/**
 * Makes the directory that something goes into, and what is missing above it.
 * Who may not look there is not asked to: what goes into it tells whether it may.
 */
export const makeDirectories = (vfs: Vfs, dir: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const missing: { readonly path: VPath; readonly unseen: boolean }[] = [];
    for (const path of lineage(dir)) {
      if (path === "/") break;
      const seen = yield* Effect.either(entryIfAny(vfs, path));
      if (Either.isLeft(seen) && seen.left.reason !== "Denied") return yield* seen.left;
      if (Either.isRight(seen) && seen.right) break;
      missing.push({ path, unseen: Either.isLeft(seen) });
    }
    for (const { path, unseen } of missing.reverse()) {
      // Another request may make it at this moment.
      yield* Effect.catchIf(
        vfs.mkdir(path),
        ({ reason }) => reason === "AlreadyExists" || unseen && reason === "Denied",
        () => Effect.void,
      );
    }
  });
