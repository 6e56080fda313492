import { FsError } from "../../../src/errors.ts";
import type { Attributes, Entry } from "../../../src/model/entry.ts";
import type { Writer } from "../../../src/storage/storage.ts";
import type { Tree } from "./tree.ts";

export interface MemoryTarget {
  readonly exclusive: boolean;
  readonly direct: boolean;
  /** Content that an update starts from. */
  readonly old: Uint8Array | undefined;
  readonly existed: boolean;
  readonly staged: string | undefined;
  readonly mode: number;
}

/** Grows a buffer and puts it into the tree at commit. An update that only extends shows at once. */
export class MemoryWriter implements Writer {
  readonly staged: string | undefined;
  readonly #tree: Tree;
  readonly #key: string;
  readonly #target: MemoryTarget;
  #bytes: Uint8Array;
  #size: number;
  #inOrder: number;
  #inPlace: boolean;
  #over = false;

  constructor(tree: Tree, key: string, target: MemoryTarget) {
    this.#tree = tree;
    this.#key = key;
    this.#target = target;
    this.staged = target.staged;
    this.#bytes = target.old?.slice() ?? new Uint8Array(0);
    this.#size = this.#inOrder = this.#bytes.length;
    this.#inPlace = target.direct || target.old !== undefined;
    // An object of its own, as on a disk, for whoever looks for what a crash left.
    if (target.staged) tree.put("open", target.staged, new Uint8Array(0), 0o600);
    if (target.direct) this.#show();
  }

  get size(): number {
    return this.#size;
  }

  writeAt(offset: number, chunk: Uint8Array): Promise<void> {
    return this.#step("write", () => {
      if (!this.#target.direct && offset < (this.#target.old?.length ?? 0)) this.#withdraw();
      const end = offset + chunk.length;
      this.#reserve(end);
      this.#bytes.set(chunk, offset);
      this.#size = Math.max(this.#size, end);
      if (offset <= this.#inOrder) this.#inOrder = Math.max(this.#inOrder, end);
      if (this.#inPlace) this.#show();
    });
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    return this.#step("read", () => {
      const part = this.#bytes.subarray(Math.min(offset, this.#size), this.#size)
        .subarray(0, into.length);
      into.set(part);
      return part.length;
    });
  }

  truncate(size: number): Promise<void> {
    return this.#step("truncate", () => {
      if (!this.#target.direct && size < (this.#target.old?.length ?? 0)) this.#withdraw();
      this.#reserve(size);
      this.#bytes.fill(0, size);
      this.#size = size;
      this.#inOrder = Math.min(this.#inOrder, size);
      if (this.#inPlace) this.#show();
    });
  }

  sync(): Promise<void> {
    return this.#step("sync", () => undefined);
  }

  commit(attributes: Attributes = {}): Promise<Entry> {
    return this.#step("commit", () => {
      if (this.#target.exclusive && this.#tree.find(this.#key)) throw this.#error("AlreadyExists");
      return this.#publish(attributes);
    });
  }

  keepPartial(): Promise<Entry> {
    return this.#step("commit", () => {
      if (!this.#inPlace && (this.#target.existed || this.#tree.find(this.#key))) {
        throw this.#error("Conflict");
      }
      this.#size = this.#inOrder;
      return this.#publish({});
    });
  }

  release(): void {
    if (this.staged) this.#tree.delete(this.staged);
    this.#over = true;
  }

  #publish(attributes: Attributes): Entry {
    if (this.#inPlace && !this.#tree.find(this.#key)) throw this.#error("Conflict");
    this.#show();
    this.#tree.setAttributes(this.#key, attributes);
    return this.#tree.entry("commit", this.#key);
  }

  #show(): void {
    this.#tree.put("write", this.#key, this.#bytes.slice(0, this.#size), this.#target.mode);
  }

  /** An update that overwrites becomes one change: what it had shown goes back until commit. */
  #withdraw(): void {
    if (!this.#inPlace) return;
    this.#inPlace = false;
    if (this.#target.old) {
      this.#tree.put("write", this.#key, this.#target.old, this.#target.mode);
    }
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }

  #error(reason: FsError["reason"]): FsError {
    return new FsError({ reason, op: "commit", path: this.#key });
  }

  #step<A>(op: string, step: () => A): Promise<A> {
    if (this.#over) {
      return Promise.reject(new FsError({ reason: "Aborted", op, path: this.#key }));
    }
    try {
      return Promise.resolve(step());
    } catch (cause) {
      return Promise.reject(cause);
    }
  }
}
