import { Effect, Stream } from "effect";
import { FsError } from "../../../src/errors.ts";

import type { Capabilities } from "../../../src/storage/capabilities.ts";
import type { Storage, WriteOptions, Writer } from "../../../src/storage/storage.ts";
import { stagedName } from "../../../src/storage/staged.ts";
import { MemoryWriter } from "./writer.ts";
import { basename, parentOf, Tree } from "./tree.ts";

const can: Capabilities = {
  write: "random",
  append: true,
  atomicRename: true,
  serverCopy: true,
  emptyDirs: true,
  setMtime: true,
  symlinks: false,
  hardLinks: false,
  modes: true,
  space: false,
};

let made = 0;

/** Keeps everything in memory: the reference that other adapters are tested against. */
export const memory = (tree: Tree = new Tree()): Storage => {
  const identity = `memory:${++made}`;
  const attempt = <A>(op: string, key: string, step: () => A) =>
    Effect.try({
      try: step,
      catch: (cause) =>
        cause instanceof FsError
          ? cause
          : new FsError({ reason: "Unavailable", op, path: key, cause }),
    });
  const unsupported = (op: string) => (key: string) =>
    Effect.fail(new FsError({ reason: "Unsupported", op, path: key }));
  const stat = (op: string) => (key: string) => attempt(op, key, () => tree.entry(op, key));

  return {
    scheme: "memory",
    identity,
    can,
    stat: stat("stat"),
    lstat: stat("lstat"),
    list: (key) =>
      Stream.unwrap(attempt("list", key, () => Stream.fromIterable(tree.children(key)))),
    reader: (key) =>
      attempt("open", key, () => {
        const { bytes } = tree.file("open", key);
        const entry = tree.entry("open", key);
        return {
          entry,
          stat: () => Promise.resolve(entry),
          readAt: (offset: number, into: Uint8Array) => {
            const part = bytes.subarray(Math.min(offset, bytes.length), offset + into.length);
            into.set(part);
            return Promise.resolve(part.length);
          },
        };
      }),
    writer: (key, how) =>
      Effect.acquireRelease(
        attempt("open", key, () => openWriter(tree, key, how)),
        (writer) => Effect.sync(() => writer.release()),
      ),
    mkdir: (key, mode) => attempt("mkdir", key, () => tree.mkdir(key, mode)),
    remove: (key) =>
      attempt("remove", key, () => {
        tree.file("remove", key);
        tree.delete(key);
      }),
    rmdir: (key) => attempt("rmdir", key, () => tree.rmdir(key)),
    rename: (from, to, { replace }) => attempt("rename", from, () => tree.move(from, to, replace)),
    copy: (from, to) =>
      attempt("copy", from, () => {
        const { bytes, mode } = tree.file("copy", from);
        tree.put("copy", to, bytes, mode);
        return tree.entry("copy", to);
      }),
    setAttributes: (key, attributes) =>
      attempt("setattr", key, () => tree.setAttributes(key, attributes)),
    symlink: (_target, key) => unsupported("symlink")(key),
    readlink: unsupported("readlink"),
    hardLink: (_from, to) => unsupported("link")(to),
    realpath: (key) => Effect.succeed(key),
    space: unsupported("space"),
    sweep: () => attempt("sweep", "/", () => tree.sweep()),
  };
};

const openWriter = (tree: Tree, key: string, how: WriteOptions): Writer & { release(): void } => {
  const old = tree.find(key);
  const refuse = (reason: FsError["reason"]) => new FsError({ reason, op: "open", path: key });
  if (old?.kind === "dir") throw refuse("IsDirectory");
  if (old && how.mode === "create") throw refuse("AlreadyExists");
  const parent = tree.find(parentOf(key));
  if (!parent) throw refuse("NotFound");
  if (parent.kind !== "dir") throw refuse("NotDirectory");
  const update = how.mode === "update" && old !== undefined;
  const direct = how.direct === true;
  const staged = update || direct
    ? undefined
    : (parentOf(key) === "/" ? "/" : parentOf(key) + "/") + stagedName(basename(key));
  return new MemoryWriter(tree, key, {
    exclusive: how.mode === "create",
    direct,
    old: update ? old?.bytes : undefined,
    existed: old !== undefined,
    staged,
    mode: how.permissions ?? old?.mode ?? 0o644,
  });
};
