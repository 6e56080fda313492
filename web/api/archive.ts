import { Effect, type Scope, Stream } from "effect";
import { fileBody } from "../../actors/response_body.ts";
import { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import { toRead, type Vfs } from "../../src/vfs/vfs.ts";
import { basename, child, isWithin, lineage, parent, root, type VPath } from "../../src/vpath.ts";
import { disposition } from "./disposition.ts";
import { type ApiError, type Failure, refuse } from "./failure.ts";
import { readJson, resolveClean } from "./request.ts";
import type { Call } from "./site.ts";

const mostPaths = 10_000;

/**
 * `POST /user/streamzip` (BEHAVIOUR API-25, UP-10): a zip of what the body, a
 * JSON array of paths, names; nothing of it is kept. `method=store` in the
 * query does not compress. Names are relative to the directory that all have in
 * common. What lies below and may not be read is left out, as links and special
 * files are; another failure on the way cuts the answer, so that nobody takes
 * it for whole.
 */
export const streamzip = (call: Call): Effect.Effect<Response, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, query } = call;
    const method = query.get("method") ?? "deflate";
    if (method !== "deflate" && method !== "store") {
      return yield* refuse(400, "method is deflate or store");
    }
    const paths = yield* pathsOf(vfs, yield* readJson(request));
    const tops: { readonly path: VPath; readonly entry: Entry }[] = [];
    // Now: what is missing has a status of its own.
    for (const path of paths) tops.push({ path, entry: yield* vfs.stat(path) });
    const base = commonParent(paths);
    const { ZipWriter, configure } = yield* Effect.promise(() => import("@zip.js/zip.js"));
    configure({ useWebWorkers: false });
    const pipe = new TransformStream<Uint8Array, Uint8Array>(
      {},
      { highWaterMark: 1 },
      { highWaterMark: 1 },
    );
    const zip = new ZipWriter(pipe.writable, {
      level: method === "store" ? 0 : 6,
      keepOrder: true,
      bufferedWrite: false,
      dataDescriptor: true,
      extendedTimestamp: true,
      useUnicodeFileNames: true,
      useWebWorkers: false,
    });
    const step = (work: () => Promise<unknown>) =>
      Effect.tryPromise({ try: work, catch: (error) => error });

    const add = (path: VPath, entry: Entry): Effect.Effect<void, unknown> => {
      const name = base === "/" ? path.slice(1) : path.slice(base.length + 1);
      if (entry.kind === "file") {
        return Effect.scoped(Effect.gen(function* () {
          const handle = yield* vfs.open(path, toRead);
          const { size, mtime } = yield* handle.stat();
          const { body } = fileBody(handle, [{ from: 0, to: size }]);
          // Deflate may add a little to what cannot be compressed.
          const zip64 = size > 0xf000_0000;
          yield* step(() => zip.add(name, body, { lastModDate: new Date(mtime), zip64 }));
          yield* handle.close();
        }));
      }
      if (entry.kind !== "dir") return Effect.void;
      return Effect.gen(function* () {
        if (name !== "") {
          const lastModDate = new Date(entry.mtime);
          yield* step(() => zip.add(`${name}/`, undefined, { directory: true, lastModDate }));
        }
        yield* Stream.runForEach(
          vfs.list(path),
          (inner) =>
            inner.name.includes("\\")
              ? Effect.void
              : Effect.catchIf(add(child(path, inner.name), inner), isDenied, () => Effect.void),
        );
      });
    };
    const all = Effect.gen(function* () {
      for (const { path, entry } of tops) yield* add(path, entry);
      yield* step(() => zip.close());
    }).pipe(
      Effect.onExit((exit) =>
        exit._tag === "Success"
          ? Effect.void
          : Effect.promise(() => pipe.writable.abort(new Error("cut")).catch(() => {}))
      ),
      Effect.ignore,
    );
    yield* Effect.forkScoped(all);
    const name = tops.length === 1 && tops[0] ? basename(tops[0].path) || "files" : "files";
    return new Response(pipe.readable, {
      headers: {
        "content-type": "application/zip",
        "content-disposition": disposition("attachment", `${name}.zip`),
        "cache-control": "no-store",
      },
    });
  });

const isDenied = (error: unknown): boolean => error instanceof FsError && error.reason === "Denied";

/** The paths that a body names, each once, without those below another. */
const pathsOf = (
  vfs: Vfs,
  body: unknown,
): Effect.Effect<ReadonlyArray<VPath>, ApiError | FsError> =>
  Effect.gen(function* () {
    if (!Array.isArray(body) || body.length === 0 || body.length > mostPaths) {
      return yield* refuse(400, `the body is to be an array of 1 to ${mostPaths} paths`);
    }
    const paths = new Set<VPath>();
    for (const raw of body) {
      if (typeof raw !== "string" || raw === "") return yield* refuse(400, "a path is no text");
      paths.add(yield* resolveClean(vfs, raw));
    }
    return [...paths].filter((path) => !lineage(path).slice(1).some((up) => paths.has(up)));
  });

/** The directory that holds all of them. */
const commonParent = (paths: ReadonlyArray<VPath>): VPath => {
  const [first = root, ...rest] = paths;
  let base = parent(first);
  for (const path of rest) while (!isWithin(base, parent(path))) base = parent(base);
  return base;
};
