import { FsError } from "../../../src/errors.ts";
import type { Attributes, Entry } from "../../../src/model/entry.ts";
import { isStagedName } from "../../../src/storage/staged.ts";

export interface Node {
  readonly kind: "file" | "dir";
  bytes: Uint8Array;
  mtime: number;
  atime: number;
  mode: number;
  uid: number;
  gid: number;
}

export const parentOf = (key: string): string => key.slice(0, key.lastIndexOf("/")) || "/";
export const basename = (key: string): string => key.slice(key.lastIndexOf("/") + 1);
const none = new Uint8Array();

/** Files and directories by key. Throws FsError. */
export class Tree {
  readonly #nodes = new Map<string, Node>([["/", node("dir", none, 0o755)]]);

  find(key: string): Node | undefined {
    return this.#nodes.get(key);
  }

  get(op: string, key: string): Node {
    const found = this.#nodes.get(key);
    if (found) return found;
    const above = this.#nodes.get(parentOf(key));
    throw new FsError({
      reason: above?.kind === "file" ? "NotDirectory" : "NotFound",
      op,
      path: key,
    });
  }

  file(op: string, key: string): Node {
    const found = this.get(op, key);
    if (found.kind === "dir") throw new FsError({ reason: "IsDirectory", op, path: key });
    return found;
  }

  entry(op: string, key: string): Entry {
    const { kind, bytes, mtime, atime, mode, uid, gid } = this.get(op, key);
    return {
      name: basename(key),
      kind,
      size: bytes.length,
      mtime,
      atime,
      mode,
      uid,
      gid,
      links: 1,
    };
  }

  children(key: string): Entry[] {
    if (this.get("list", key).kind !== "dir") {
      throw new FsError({ reason: "NotDirectory", op: "list", path: key });
    }
    return [...this.#nodes.keys()]
      .filter((at) => at !== "/" && parentOf(at) === key && !isStagedName(basename(at)))
      .map((at) => this.entry("list", at));
  }

  /** Creates or replaces a file; the directory must exist. */
  put(op: string, key: string, bytes: Uint8Array, mode: number): void {
    const old = this.#nodes.get(key);
    if (old?.kind === "dir") throw new FsError({ reason: "IsDirectory", op, path: key });
    this.#directory(op, key);
    this.#nodes.set(key, node("file", bytes, mode));
  }

  mkdir(key: string, mode = 0o755): void {
    if (this.#nodes.has(key)) {
      throw new FsError({ reason: "AlreadyExists", op: "mkdir", path: key });
    }
    this.#directory("mkdir", key);
    this.#nodes.set(key, node("dir", none, mode));
  }

  delete(key: string): void {
    this.#nodes.delete(key);
  }

  rmdir(key: string): void {
    if (this.get("rmdir", key).kind !== "dir") {
      throw new FsError({ reason: "NotDirectory", op: "rmdir", path: key });
    }
    if (key === "/") throw new FsError({ reason: "Denied", op: "rmdir", path: key });
    if (this.#below(key).length > 0) {
      throw new FsError({ reason: "NotEmpty", op: "rmdir", path: key });
    }
    this.#nodes.delete(key);
  }

  move(from: string, to: string, replace: boolean): void {
    const source = this.get("rename", from);
    const target = this.#nodes.get(to);
    if (target?.kind === "dir" || (target && !replace)) {
      throw new FsError({ reason: "AlreadyExists", op: "rename", path: to });
    }
    if (target && source.kind === "dir") {
      throw new FsError({ reason: "NotDirectory", op: "rename", path: to });
    }
    if (to.startsWith(from + "/")) {
      throw new FsError({ reason: "Unsupported", op: "rename", path: from });
    }
    this.#directory("rename", to);
    for (const at of [from, ...this.#below(from)]) {
      const moved = this.#nodes.get(at);
      this.#nodes.delete(at);
      if (moved) this.#nodes.set(to + at.slice(from.length), moved);
    }
  }

  setAttributes(key: string, attributes: Attributes): void {
    const found = this.get("setattr", key);
    const { size, ...rest } = attributes;
    if (size !== undefined) {
      const bytes = this.file("truncate", key).bytes;
      const cut = new Uint8Array(size);
      cut.set(bytes.subarray(0, size));
      found.bytes = cut;
      found.mtime = Date.now();
    }
    for (const name of ["mode", "uid", "gid", "atime", "mtime"] as const) {
      const value = rest[name];
      if (value !== undefined) found[name] = value;
    }
  }

  sweep(): number {
    const stale = [...this.#nodes.keys()].filter((key) => isStagedName(basename(key)));
    for (const key of stale) this.#nodes.delete(key);
    return stale.length;
  }

  #below(key: string): string[] {
    return [...this.#nodes.keys()].filter((at) => at.startsWith(key === "/" ? "/" : key + "/"))
      .filter((at) => at !== "/");
  }

  #directory(op: string, key: string): void {
    if (this.get(op, parentOf(key)).kind !== "dir") {
      throw new FsError({ reason: "NotDirectory", op, path: key });
    }
  }
}

const node = (kind: Node["kind"], bytes: Uint8Array, mode: number): Node => {
  const now = Date.now();
  return { kind, bytes, mtime: now, atime: now, mode, uid: 0, gid: 0 };
};
