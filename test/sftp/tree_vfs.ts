import { Effect, Either, Exit, Scope, Stream } from "effect";
import { createHash } from "node:crypto";
import { FsError, type FsReason } from "../../src/errors.ts";
import type { Attributes, Entry, EntryKind } from "../../src/model/entry.ts";
import type { Handle, OpenOptions, OwnedHandle, Vfs } from "../../src/vfs/vfs.ts";
import { basename, child, parent, parseClientPath, root, type VPath } from "../../src/vpath.ts";

interface Node {
  kind: EntryKind;
  bytes: Uint8Array<ArrayBuffer>;
  target: string;
  mtime: number;
  mode: number;
  uid: number;
  gid: number;
}

/**
 * A tree in a map that keeps the Vfs contract without policy: what the SFTP
 * engine is tested against, with hooks to slow down and to fail.
 */
export interface TreeVfs extends Vfs {
  readonly nodes: Map<string, Node>;
  /** Handles and listings that are open now. */
  openCount: number;
  /** Uploads whose scope closed before `close`. */
  aborted: number;
  synced: number;
  /** Awaited by every read and write of a handle. */
  before: (op: "read" | "write", offset: number, length: number) => Promise<void> | void;
  /** Fails an operation; asked with its name and path. */
  deny: (op: string, path: string) => FsReason | undefined;
}

export const node = (kind: EntryKind, bytes = new Uint8Array(0)): Node => ({
  kind,
  bytes,
  target: "",
  mtime: Date.UTC(2026, 10, 20, 10, 30),
  mode: kind === "dir" ? 0o755 : kind === "symlink" ? 0o777 : 0o644,
  uid: 1000,
  gid: 1000,
});

export const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

export const treeVfs = (
  files: Record<string, string | Uint8Array<ArrayBuffer>> = {},
  home: VPath = root,
): TreeVfs => {
  const nodes = new Map<string, Node>([["/", node("dir")]]);
  const fail = (op: string, path: string, reason: FsReason) => new FsError({ reason, op, path });
  const step = <A>(op: string, path: VPath, run: () => A | FsError): Effect.Effect<A, FsError> =>
    Effect.suspend(() => {
      const reason = vfs.deny(op, path);
      if (reason) return Effect.fail(fail(op, path, reason));
      const result = run();
      return result instanceof FsError ? Effect.fail(result) : Effect.succeed(result);
    });
  const followed = (path: VPath): VPath => {
    const found = nodes.get(path);
    return found?.kind === "symlink"
      ? Either.getOrThrow(parseClientPath(found.target, parent(path)))
      : path;
  };
  const entry = (path: VPath, found: Node): Entry => ({
    name: basename(path),
    kind: found.kind,
    size: found.bytes.length,
    mtime: found.mtime,
    mode: found.mode,
    uid: found.uid,
    gid: found.gid,
  });
  const change = (found: Node, { size, mode, uid, gid, mtime }: Attributes) => {
    if (size !== undefined) found.bytes = resized(found.bytes, size);
    Object.assign(found, {
      mode: mode ?? found.mode,
      uid: uid ?? found.uid,
      gid: gid ?? found.gid,
      mtime: mtime ?? found.mtime,
    });
  };
  const find = <A>(op: string, path: VPath, run: (found: Node, at: VPath) => A | FsError) =>
    step(op, path, () => {
      const found = nodes.get(path);
      return found ? run(found, path) : fail(op, path, "NotFound");
    });
  const children = (path: VPath) =>
    [...nodes].filter(([at]) => at !== "/" && parent(at as VPath) === path);

  const handle = (path: VPath, found: Node, options: OpenOptions): Handle => ({
    path,
    async read(offset, into) {
      await vfs.before("read", offset, into.length);
      const reason = options.read ? vfs.deny("read", path) : "Denied";
      if (reason) throw fail("read", path, reason);
      const part = found.bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    async write(offset, chunk) {
      await vfs.before("write", offset, chunk.length);
      const reason = options.write ? vfs.deny("write", path) : "Denied";
      if (reason) throw fail("write", path, reason);
      const at = options.append ? found.bytes.length : offset;
      if (at + chunk.length > 1 << 28) throw fail("write", path, "TooLarge");
      found.bytes = resized(found.bytes, Math.max(found.bytes.length, at + chunk.length));
      found.bytes.set(chunk, at);
    },
    stat: () => step("fstat", path, () => entry(path, found)),
    setAttributes: (attributes) => step("fsetstat", path, () => change(found, attributes)),
    sync: () => step("sync", path, () => void vfs.synced++),
    close: () => step("close", path, () => void (options.write && nodes.set(path, found))),
  });

  const vfs: TreeVfs = {
    nodes,
    openCount: 0,
    aborted: 0,
    synced: 0,
    before: () => {},
    deny: () => undefined,
    home,
    resolve: (raw, base) =>
      Either.match(parseClientPath(raw, base ?? home), {
        onLeft: (error) => Effect.fail(error),
        onRight: (path) => Effect.succeed(path),
      }),
    stat: (path) => find("stat", followed(path), (found, at) => entry(at, found)),
    lstat: (path) => find("lstat", path, (found, at) => entry(at, found)),
    list: (path) =>
      Stream.unwrapScoped(
        Effect.gen(function* () {
          const found = yield* find("list", path, (each) => each);
          if (found.kind !== "dir") return yield* fail("list", path, "NotDirectory");
          yield* Effect.acquireRelease(
            Effect.sync(() => vfs.openCount++),
            () => Effect.sync(() => vfs.openCount--),
          );
          return Stream.fromIterable(children(path)).pipe(
            Stream.map(([at, each]) => entry(at as VPath, each)),
            Stream.rechunk(97),
          );
        }),
      ),
    open: (path, options) =>
      Effect.gen(function* () {
        const at = followed(path);
        const known = yield* step("open", at, () => nodes.get(at));
        if (known?.kind === "dir") return yield* fail("open", at, "IsDirectory");
        if (!known && !(options.create && nodes.get(parent(at))?.kind === "dir")) {
          return yield* fail("open", at, "NotFound");
        }
        if (known && options.exclusive) return yield* fail("open", at, "AlreadyExists");
        // An upload works on a copy; only close puts it in place.
        const copy = known && !options.truncate ? { ...known } : node("file");
        if (options.attributes?.mode !== undefined) copy.mode = options.attributes.mode;
        let closed = !options.write;
        const inner = handle(at, copy, options);
        yield* Effect.acquireRelease(
          Effect.sync(() => vfs.openCount++),
          () =>
            Effect.sync(() => {
              vfs.openCount--;
              if (!closed) vfs.aborted++;
            }),
        );
        return {
          ...inner,
          close: () => Effect.tap(inner.close(), () => Effect.sync(() => closed = true)),
        };
      }),
    openNow: () => undefined,
    statNow: () => undefined,
    openFile: (path, options) => owned(vfs.open(path, options)),
    mkdir: (path, attributes) =>
      step("mkdir", path, () => {
        if (nodes.has(path)) return fail("mkdir", path, "AlreadyExists");
        if (nodes.get(parent(path))?.kind !== "dir") return fail("mkdir", path, "NotFound");
        const made = node("dir");
        change(made, attributes ?? {});
        nodes.set(path, made);
      }),
    remove: (path) =>
      find("remove", path, (found) => {
        if (found.kind === "dir") return fail("remove", path, "IsDirectory");
        nodes.delete(path);
      }),
    rmdir: (path) =>
      find("rmdir", path, (found) => {
        if (found.kind !== "dir") return fail("rmdir", path, "NotDirectory");
        if (children(path).length > 0) return fail("rmdir", path, "NotEmpty");
        nodes.delete(path);
      }),
    removeTree: (path) => Effect.fail(fail("removeTree", path, "Unsupported")),
    rename: (from, to, { replace }) =>
      find("rename", from, (found) => {
        if (nodes.has(to) && !replace) return fail("rename", to, "AlreadyExists");
        nodes.delete(from);
        nodes.set(to, found);
      }),
    copy: (from) => Effect.fail(fail("copy", from, "Unsupported")),
    setAttributes: (path, attributes, options) =>
      find(
        "setstat",
        options?.follow === false ? path : followed(path),
        (found) => change(found, attributes),
      ),
    symlink: (target, link) =>
      step("symlink", link, () => void nodes.set(link, { ...node("symlink"), target })),
    hardLink: (from, to) => find("hardlink", from, (found) => void nodes.set(to, found)),
    readlink: (path) =>
      find("readlink", path, (found) => found.target || fail("readlink", path, "InvalidPath")),
    realpath: (path) => find("realpath", followed(path), (_, at) => at),
    available: (path) =>
      step("available", path, () => ({
        totalBytes: 1 << 30,
        freeBytes: 1 << 29,
        totalFiles: 1000,
        freeFiles: 900,
      })),
    checksum: (path, algorithm, range) =>
      find("checksum", path, ({ bytes }) => {
        const from = range?.offset ?? 0;
        const part = bytes.subarray(from, from + (range?.length ?? bytes.length));
        const block = range?.block ?? Math.max(1, part.length);
        const digests = [];
        for (let at = 0; at < part.length || at === 0; at += block) {
          digests.push(
            createHash(algorithm).update(part.subarray(at, at + block)).digest("hex"),
          );
        }
        return digests;
      }),
    resumables: () => {
      throw new Error("no uploads are kept here");
    },
    recordCommand: () => Effect.void,
  };
  for (const [path, content] of Object.entries(files)) {
    for (let at = parent(path as VPath); !nodes.has(at); at = parent(at)) {
      nodes.set(at, node("dir"));
    }
    const bytes = typeof content === "string" ? bytesOf(content) : content;
    nodes.set(child(parent(path as VPath), basename(path as VPath)), node("file", bytes));
  }
  return vfs;
};

const resized = (bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> => {
  if (size <= bytes.length) return bytes.slice(0, size);
  const grown = new Uint8Array(size);
  grown.set(bytes);
  return grown;
};

/** A handle with a scope of its own, which its close or its leave closes. */
const owned = (
  open: Effect.Effect<Handle, FsError, Scope.Scope>,
): Effect.Effect<OwnedHandle, FsError> =>
  Effect.uninterruptible(Effect.flatMap(Scope.make(), (scope) => {
    const leave = () => Scope.close(scope, Exit.void);
    return Effect.onError(
      Effect.map(
        Effect.interruptible(Scope.extend(open, scope)),
        (handle) => ({
          ...handle,
          leave,
          closeNow: () => false,
          close: () => Effect.zipLeft(handle.close(), leave()),
        }),
      ),
      leave,
    );
  }));
