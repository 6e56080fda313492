import { Effect, Either, type Scope } from "effect";
import { FsError } from "../../../src/errors.ts";
import { toReplace } from "../../../src/vfs/vfs.ts";
import { parent, root, type VPath } from "../../../src/vpath.ts";
import { parseScpLine, type ScpLine, type Times } from "./lines.ts";
import { receive } from "./receive.ts";
import { maxDepth, type Refusal, type Transfer, withHandle } from "./session.ts";
import { Breach, ClientGone } from "./wire.ts";

/** Where the next file or directory of one level goes. */
interface Level {
  readonly path: VPath;
  /** Whether names are added to `path`; `unknown` if the user may not look. */
  kind: "dir" | "entry" | "unknown";
  /** To be set when the directory is complete. */
  readonly times?: Times | undefined;
}

type Sunk<A> = Effect.Effect<A, Refusal | Breach | ClientGone, Scope.Scope>;

/**
 * Serves `scp -t`: stores what the client sends (BEHAVIOUR SCP-02).
 *
 * An acknowledgement after a file means that the upload was committed. A
 * refused file costs that file only; `Breach` ends the transfer.
 */
export const sink = (transfer: Transfer): Sunk<void> =>
  Effect.gen(function* () {
    const { wire } = transfer;
    const raw = transfer.options.paths[0] ?? "";
    const levels: Level[] = [yield* target(transfer, raw)];
    let times: Times | undefined;
    yield* wire.ok;
    while (true) {
      const bytes = yield* wire.line;
      if (bytes === undefined) break;
      if (yield* peerFailed(transfer, bytes)) continue;
      const parsed = parseScpLine(bytes);
      if (Either.isLeft(parsed)) {
        if (parsed.left.level === "breach") return yield* new Breach({ text: parsed.left.text });
        yield* transfer.refuse(raw, parsed.left.text);
        continue;
      }
      const line = parsed.right;
      if (line._tag === "Times") {
        times = line.times;
        yield* wire.ok;
      } else if (line._tag === "End") {
        yield* leave(transfer, levels);
      } else {
        yield* enter(transfer, levels, line, times);
        times = undefined;
      }
    }
    if (levels.length > 1) return yield* new ClientGone({});
  });

/** An error that the client reports between two lines (bytes 1 and 2). */
const peerFailed = (transfer: Transfer, bytes: Uint8Array): Effect.Effect<boolean, ClientGone> => {
  if (bytes[0] === 2) return new ClientGone({});
  if (bytes[0] !== 1) return Effect.succeed(false);
  transfer.note();
  return Effect.succeed(true);
};

/** Looks at the path of the command line. A missing one may become a file or a directory. */
const target = (transfer: Transfer, raw: string): Sunk<Level> =>
  Effect.gen(function* () {
    const { vfs, options } = transfer;
    const path = yield* vfs.resolve(raw);
    const mustBeDir = options.directory || /[\\/]$/.test(raw);
    // Both always exist, also for users who may only upload.
    if (path === root || path === vfs.home) return { path, kind: "dir" };
    const kind = yield* transfer.control(vfs.stat(path)).pipe(
      Effect.map((entry) => entry.kind === "dir" ? "dir" as const : "entry" as const),
      Effect.catchTag("FsError", (error) => {
        if (error.reason === "NotFound") return Effect.succeed("entry" as const);
        if (error.reason === "Denied") {
          return Effect.succeed(mustBeDir ? "dir" as const : "unknown" as const);
        }
        return Effect.fail(error);
      }),
    );
    // A directory that is still to be made may be named with a slash, as `scp -r` allows.
    if (kind === "entry" && mustBeDir && (options.directory || !options.recursive)) {
      return yield* new FsError({ reason: "NotDirectory", op: "scp", path });
    }
    return { path, kind };
  });

/** A `C` or `D` line. A refusal is answered and forgotten: the client skips that entry. */
const enter = (
  transfer: Transfer,
  levels: Level[],
  line: Extract<ScpLine, { _tag: "File" | "Dir" }>,
  times: Times | undefined,
): Sunk<void> => {
  const level = levels[levels.length - 1];
  if (!level) return Effect.die("the sink has no level");
  if (line._tag === "Dir" && !transfer.options.recursive) {
    return new Breach({ text: "protocol error: received directory without -r" });
  }
  if (line._tag === "Dir" && levels.length > maxDepth) {
    return new Breach({ text: `directories are nested more than ${maxDepth} deep` });
  }
  const named = transfer.vfs.resolve(line.name, level.path);
  const path = level.kind === "dir" ? named : Effect.succeed(level.path);
  const once = (at: VPath) =>
    line._tag === "File"
      ? storeFile(transfer, at, line.size, times)
      : Effect.map(ensureDir(transfer, at), () => {
        levels.push({ path: at, kind: "dir", times });
      });
  return path.pipe(
    Effect.flatMap(once),
    Effect.catchTag("FsError", (error) => {
      if (level.kind !== "unknown" || error.reason !== "IsDirectory") return Effect.fail(error);
      level.kind = "dir";
      return Effect.flatMap(named, once);
    }),
    Effect.andThen(transfer.wire.ok),
    Effect.catchTags({
      FsError: (error) => transfer.refuse(line.name, error),
      ActorBusy: (error) => transfer.refuse(line.name, error),
    }),
  );
};

/** An `E` line: the directory is complete. */
const leave = (transfer: Transfer, levels: Level[]): Sunk<void> =>
  Effect.gen(function* () {
    const done = levels.length > 1 ? levels.pop() : undefined;
    if (!done) return yield* new Breach({ text: "protocol error: unexpected end of directory" });
    yield* applyTimes(transfer, done.path, done.times);
    yield* transfer.wire.ok;
  });

/** Acknowledges the line, takes the data, and commits. The caller acknowledges the commit. */
const storeFile = (
  transfer: Transfer,
  path: VPath,
  size: number,
  times: Times | undefined,
): Sunk<void> => {
  const { wire } = transfer;
  return Effect.gen(function* () {
    yield* fits(transfer, path, size);
    yield* withHandle(transfer, path, toReplace, (handle) =>
      Effect.gen(function* () {
        yield* wire.ok;
        const received = yield* Effect.tryPromise({
          try: (signal) => receive(wire, handle, size, signal),
          catch: (cause) => new ClientGone({ cause }),
        });
        if (!received.complete) return yield* new ClientGone({});
        const peer = yield* wire.answer;
        if (received.failure !== undefined) return yield* received.failure;
        // What the client could not read itself is padding: no file is better than a wrong one.
        if (!peer.ok) {
          const detail = "upload dropped, the client could not read the file";
          return yield* new FsError({ reason: "Aborted", op: "scp", path, detail });
        }
        yield* transfer.control(handle.close());
      }));
    yield* applyTimes(transfer, path, times);
  });
};

/** Uploads below this size are not checked beforehand. */
const largeFile = 1024 * 1024;

/**
 * Refuses a large file before it crosses the network in vain; the exact check
 * is the quota's, so every doubt lets the upload begin.
 */
const fits = (transfer: Transfer, path: VPath, size: number): Sunk<void> => {
  if (size < largeFile) return Effect.void;
  const { vfs } = transfer;
  return Effect.gen(function* () {
    const replaced = yield* transfer.control(vfs.stat(path)).pipe(
      Effect.map((entry) => entry.size),
      Effect.catchIf((error) => isMissing(error), () => Effect.succeed(0)),
    );
    const { freeBytes, totalBytes } = yield* transfer.control(vfs.available(parent(path)));
    return totalBytes === 0 || freeBytes + replaced >= size;
  }).pipe(
    Effect.orElseSucceed(() => true),
    Effect.flatMap((enough) =>
      enough ? Effect.void : new FsError({ reason: "QuotaExceeded", op: "scp", path })
    ),
  );
};

const isMissing = (error: Refusal): boolean =>
  error._tag === "FsError" && error.reason === "NotFound";

/** Creates a directory unless it is there (SCP-02). */
const ensureDir = (transfer: Transfer, path: VPath): Sunk<void> => {
  const { vfs, control } = transfer;
  if (path === root) return Effect.void;
  return control(vfs.stat(path)).pipe(
    Effect.map((entry) => entry.kind),
    Effect.catchTag(
      "FsError",
      (error) =>
        error.reason === "NotFound" || error.reason === "Denied"
          ? Effect.succeed(undefined)
          : Effect.fail(error),
    ),
    Effect.flatMap((kind) => {
      if (kind === "dir") return Effect.void;
      if (kind !== undefined) {
        return new FsError({ reason: "NotDirectory", op: "mkdir", path });
      }
      return control(vfs.mkdir(path));
    }),
  );
};

/** Sets the times asked for with `-p`, where the user may; otherwise they are ignored (SCP-02). */
const applyTimes = (
  transfer: Transfer,
  path: VPath,
  times: Times | undefined,
): Effect.Effect<void> =>
  times && transfer.options.preserve
    ? Effect.ignore(transfer.control(transfer.vfs.setAttributes(path, times)))
    : Effect.void;
