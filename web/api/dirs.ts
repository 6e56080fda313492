import { Chunk, Effect, Option, Runtime, type Scope, Stream } from "effect";
import type { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import { parent } from "../../src/vpath.ts";
import { done, type Failure, refuse } from "./failure.ts";
import { flagOf, lookIfAllowed, pathOf, pathOrHome } from "./request.ts";
import type { Call } from "./site.ts";
import { makeDirectories } from "./upload.ts";

/** Go's FileMode bits, which the API's clients know. */
const kinds = { file: 0, dir: 2 ** 31, symlink: 2 ** 27, other: 2 ** 19 };

/** DirEntry of API-V2. */
export const dirEntry = ({ name, kind, size, mode, mtime }: Entry) => ({
  name,
  ...(kind === "file" ? { size } : {}),
  mode: kinds[kind] + ((mode ?? (kind === "dir" ? 0o755 : 0o644)) & 0o777),
  last_modified: new Date(mtime).toISOString().replace(/\.\d+/, ""),
});

/** `GET /user/dirs`: a JSON array, sent page by page as the storage lists. */
export const listDirectory = (call: Call): Effect.Effect<Response, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* pathOrHome(call.vfs, call.query, "path");
    const pull = yield* Stream.toPull(Stream.rechunk(call.vfs.list(path), 500));
    const next = Effect.catchAll(
      Effect.asSome(pull),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (error: FsError) => Effect.fail(error),
      }),
    );
    // The first page now: what cannot be listed has a status of its own.
    let page = yield* next;
    const run = Runtime.runPromise(yield* Effect.runtime<never>());
    const encoder = new TextEncoder();
    let before = "[";
    let over = false;
    let control: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        control = controller;
      },
      async pull(controller) {
        if (page._tag === "None") {
          over = true;
          controller.enqueue(encoder.encode(before === "[" ? "[]\n" : "\n]\n"));
          return controller.close();
        }
        let text = "";
        for (const entry of Chunk.toReadonlyArray(page.value)) {
          text += `${before}\n${JSON.stringify(dirEntry(entry))}`;
          before = ",";
        }
        page = await run(next);
        if (!over) controller.enqueue(encoder.encode(text));
      },
      cancel: () => {
        over = true;
      },
    }, { highWaterMark: 1 });
    // A listing that is ended half way must not look whole.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (!over) control?.error(new Error("the session is over"));
        over = true;
      })
    );
    return new Response(body, {
      headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
    });
  });

/** `POST /user/dirs`. */
export const makeDirectory = ({ vfs, query }: Call): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const path = yield* pathOf(vfs, query, "path");
    if (flagOf(query, "mkdir_parents")) yield* makeDirectories(vfs, parent(path));
    yield* vfs.mkdir(path);
    return done("Directory created", 201);
  });

/** `DELETE /user/dirs`: with all that is in it. */
export const removeDirectory = ({ vfs, query }: Call): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const path = yield* pathOf(vfs, query, "path");
    const entry = yield* lookIfAllowed(vfs, path);
    if (entry && entry.kind !== "dir") return yield* refuse(400, "the path is no directory");
    yield* vfs.removeTree(path);
    return done("Directory deleted");
  });
