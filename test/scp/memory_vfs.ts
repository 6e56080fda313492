import { Effect, Either, Stream } from "effect";
import { createHash } from "node:crypto";
import { FsError, type FsReason } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import type { Handle, Vfs } from "../../src/vfs/vfs.ts";
import { basename, isWithin, parent, parseClientPath, root, type VPath } from "../../src/vpath.ts";

interface Node {
  kind: Entry["kind"];
  bytes: Uint8Array;
  mtime: number;
}

/** A tree in memory that obeys the Vfs contract; `deny` refuses single operations on single paths. */
export interface MemoryVfs extends Vfs {
  readonly nodes: Map<string, Node>;
  readonly commands: Array<{ command: string; ok: boolean }>;
  /** Handles that are open now. */
  readonly openHandles: () => number;
  /** Most bytes of writes that were under way at once. */
  readonly mostInFlight: () => number;
  deny: (op: string, path: string) => FsReason | undefined;
  freeBytes: number;
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const memoryVfs = (files: Record<string, string | Uint8Array> = {}): MemoryVfs => {
  const nodes = new Map<string, Node>([["/", dir()]]);
  let openHandles = 0;
  let inFlight = 0;
  let most = 0;
  const fail = (op: string, path: string, reason: FsReason) => new FsError({ reason, op, path });
  const check = (op: string, path: VPath) => {
    const reason = vfs.deny(op, path);
    return reason ? Effect.fail(fail(op, path, reason)) : Effect.void;
  };
  const find = (op: string, path: VPath) =>
    Effect.flatMap(check(op, path), () => {
      const node = nodes.get(path);
      return node ? Effect.succeed(node) : Effect.fail(fail(op, path, "NotFound"));
    });
  const entry = (path: string, node: Node): Entry => ({
    name: basename(path as VPath),
    kind: node.kind,
    size: node.bytes.length,
    mtime: node.mtime,
    mode: node.kind === "dir" ? 0o750 : 0o640,
  });
  const unused = (op: string) => () => Effect.fail(fail(op, "/", "Unsupported"));

  const handle = (
    path: VPath,
    node: Node,
    write: boolean,
  ): { handle: Handle; drop: () => void } => {
    let staged = new Uint8Array(0);
    let done = false;
    openHandles += 1;
    const drop = () => {
      if (!done) openHandles -= 1;
      done = true;
    };
    return {
      drop,
      handle: {
        path,
        read: (offset, into) => {
          const reason = vfs.deny("read", path);
          if (reason) return Promise.reject(fail("read", path, reason));
          const part = node.bytes.subarray(offset, offset + into.length);
          into.set(part);
          return Promise.resolve(part.length);
        },
        write: async (offset, chunk) => {
          inFlight += chunk.length;
          most = Math.max(most, inFlight);
          await Promise.resolve();
          inFlight -= chunk.length;
          const reason = vfs.deny("write", path);
          if (reason) throw fail("write", path, reason);
          const size = Math.max(staged.length, offset + chunk.length);
          if (size > staged.length) {
            const grown = new Uint8Array(size);
            grown.set(staged);
            staged = grown;
          }
          staged.set(chunk, offset);
        },
        stat: () => Effect.sync(() => entry(path, node)),
        setAttributes: () => Effect.void,
        sync: () => Effect.void,
        close: () =>
          Effect.zipRight(
            check("close", path),
            Effect.sync(() => {
              if (write) nodes.set(path, { kind: "file", bytes: staged, mtime: 0 });
              drop();
            }),
          ),
      },
    };
  };

  const vfs: MemoryVfs = {
    nodes,
    commands: [],
    openHandles: () => openHandles,
    mostInFlight: () => most,
    deny: () => undefined,
    freeBytes: Infinity,
    home: root,
    resolve: (raw, base) =>
      Either.match(parseClientPath(raw, base ?? root), {
        onLeft: (error) => Effect.fail(error),
        onRight: (path) => Effect.succeed(path),
      }),
    stat: (path) => Effect.map(find("stat", path), (node) => entry(path, node)),
    lstat: (path) => Effect.map(find("stat", path), (node) => entry(path, node)),
    list: (path) =>
      Stream.unwrap(
        Effect.map(find("list", path), () =>
          Stream.fromIterable([...nodes])
            .pipe(
              Stream.filter(([at]) => at !== "/" && parent(at as VPath) === path),
              Stream.map(([at, node]) => entry(at, node)),
              Stream.rechunk(2),
            )),
      ),
    open: (path, options) =>
      Effect.gen(function* () {
        yield* check("open", path);
        const known = nodes.get(path);
        if (known?.kind === "dir") return yield* fail("open", path, "IsDirectory");
        if (nodes.get(parent(path))?.kind !== "dir") return yield* fail("open", path, "NotFound");
        if (!known && !options.create) return yield* fail("open", path, "NotFound");
        const opened = yield* Effect.acquireRelease(
          Effect.sync(() => handle(path, known ?? file(""), options.write)),
          ({ drop }) => Effect.sync(drop),
        );
        return opened.handle;
      }),
    openNow: () => undefined,
    statNow: () => undefined,
    openFile: unused("openFile"),
    mkdir: (path) =>
      Effect.gen(function* () {
        yield* check("mkdir", path);
        if (nodes.has(path)) return yield* fail("mkdir", path, "AlreadyExists");
        if (!nodes.has(parent(path))) return yield* fail("mkdir", path, "NotFound");
        nodes.set(path, dir());
      }),
    remove: unused("remove"),
    rmdir: unused("rmdir"),
    removeTree: (path) =>
      Effect.map(find("remove", path), () => {
        for (const at of [...nodes.keys()]) if (isWithin(path, at as VPath)) nodes.delete(at);
      }),
    rename: unused("rename"),
    copy: (from, to, options) =>
      Effect.map(find("copy", from), (node) => {
        const at = options?.intoSlash ? `${to === "/" ? "" : to}/${basename(from)}` : to;
        nodes.set(at, { ...node });
      }),
    setAttributes: (path, { mtime }) =>
      Effect.map(find("setAttributes", path), (node) => void (node.mtime = mtime ?? node.mtime)),
    symlink: unused("symlink"),
    hardLink: unused("hardLink"),
    readlink: () => Effect.fail(fail("readlink", "/", "Unsupported")),
    realpath: (path) => Effect.succeed(path),
    available: () =>
      Effect.sync(() => ({
        totalBytes: vfs.freeBytes,
        freeBytes: vfs.freeBytes,
        totalFiles: 100,
        freeFiles: 100,
      })),
    checksum: (path, algorithm) =>
      Effect.map(find("checksum", path), (node) => [
        createHash(algorithm).update(node.bytes).digest("hex"),
      ]),
    resumables: () => {
      throw new Error("no uploads are kept here");
    },
    recordCommand: (command, { ok }) => Effect.sync(() => void vfs.commands.push({ command, ok })),
  };
  for (const [path, content] of Object.entries(files)) {
    for (let at = parent(path as VPath); !nodes.has(at); at = parent(at)) nodes.set(at, dir());
    nodes.set(path, content === "<dir>" ? dir() : file(content));
  }
  return vfs;
};

/** Paths of all files with their text, sorted. */
export const tree = (vfs: MemoryVfs): Record<string, string> =>
  Object.fromEntries(
    [...vfs.nodes].filter(([path]) => path !== "/").sort().map((
      [path, node],
    ) => [path, node.kind === "file" ? new TextDecoder().decode(node.bytes) : `<${node.kind}>`]),
  );

const dir = (): Node => ({ kind: "dir", bytes: new Uint8Array(0), mtime: 1_000_000_000_000 });
const file = (content: string | Uint8Array): Node => ({
  kind: "file",
  bytes: typeof content === "string" ? text(content) : content,
  mtime: 1_600_000_000_000,
});
