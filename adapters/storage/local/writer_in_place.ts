import * as fs from "node:fs";
import { FsError } from "../../../src/errors.ts";
import type { Attributes, Entry } from "../../../src/model/entry.ts";
import type { Writer } from "../../../src/storage/storage.ts";
import { applyTo } from "./attributes.ts";
import { dirOf, nameOf } from "./confine.ts";
import { closeQuietly, type LocalOptions } from "./disk.ts";
import { entryOf } from "./entry.ts";
import { toFsError } from "./errors.ts";
import { peek, peekOpen } from "./info.ts";
import { readAt, syncDirectory, syncFile, writeAt } from "./io.ts";
import type { Target } from "./staged_content.ts";
import { StagedWriter } from "./writer_staged.ts";

/** Writes straight to the file (`upload_mode` 0, and resumed uploads that only extend). */
export class InPlaceWriter implements Writer {
  readonly #options: LocalOptions;
  readonly #target: Target;
  readonly #fd: number;
  #size: number;
  #inOrder: number;
  #failed: FsError | undefined;
  #closed = false;

  constructor(options: LocalOptions, target: Target, fd: number) {
    this.#options = options;
    this.#target = target;
    this.#fd = fd;
    this.#size = this.#inOrder = peekOpen(fd).size;
  }

  get size(): number {
    return this.#size;
  }

  writeAt(offset: number, chunk: Uint8Array): Promise<void> {
    return this.#guard("write", async () => {
      await writeAt(this.#fd, offset, chunk);
      const end = offset + chunk.length;
      if (end > this.#size) this.#size = end;
      if (offset <= this.#inOrder && end > this.#inOrder) this.#inOrder = end;
    });
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    return this.#guard("read", () => readAt(this.#fd, offset, into));
  }

  truncate(size: number): Promise<void> {
    return this.#guard("truncate", () => {
      fs.ftruncateSync(this.#fd, size);
      this.#size = size;
      this.#inOrder = Math.min(this.#inOrder, size);
      return Promise.resolve();
    });
  }

  sync(): Promise<void> {
    return this.#guard("sync", () => this.#flush());
  }

  commit(attributes: Attributes = {}): Promise<Entry> {
    return this.#guard("commit", async () => {
      applyTo(this.#fd, attributes);
      await this.#flush();
      if (this.#options.fsync && !this.#target.info) await syncDirectory(dirOf(this.#target.path));
      return this.#entry();
    });
  }

  keepPartial(): Promise<Entry> {
    return this.#guard("commit", async () => {
      // Bytes behind a gap would make a resume from the file's size wrong.
      if (this.#inOrder < this.#size) fs.ftruncateSync(this.#fd, this.#inOrder);
      this.#size = this.#inOrder;
      await this.#flush();
      return this.#entry();
    });
  }

  /** Takes back what was appended, without failing. */
  cut(size: number): void {
    try {
      if (peekOpen(this.#fd).size > size) fs.ftruncateSync(this.#fd, size);
    } catch {
      // The upload failed for a reason that was told already.
    }
  }

  release(): void {
    if (!this.#closed) closeQuietly(this.#fd);
    this.#closed = true;
  }

  /** What is at the path, which must still be this file: it may have been removed or replaced meanwhile. */
  #entry(): Entry {
    const { path, key } = this.#target;
    const info = peek(path);
    const mine = peekOpen(this.#fd);
    if (info?.ino !== mine.ino || info.dev !== mine.dev) {
      throw new FsError({
        reason: "Conflict",
        op: "commit",
        path: key,
        detail: "the file was removed or replaced while it was open",
      });
    }
    return entryOf(nameOf(path), info);
  }

  async #flush(): Promise<void> {
    if (this.#options.fsync) await syncFile(this.#fd, this.#target.key);
  }

  async #guard<A>(op: string, step: () => Promise<A>): Promise<A> {
    if (this.#failed) throw this.#failed;
    try {
      return await step();
    } catch (cause) {
      const error = toFsError(op, this.#target.key)(cause);
      if (op === "sync" || op === "commit") this.#failed = error;
      throw error;
    }
  }
}

/**
 * Changes an existing file: in place as long as it only grows, which is what a
 * resumed upload does and must keep when it is cut; on the first write into
 * existing bytes everything moves to a {@linkcode StagedWriter}, so that the
 * old content survives a failure.
 */
export class UpdateWriter implements Writer {
  readonly #base: number;
  readonly #place: InPlaceWriter;
  readonly #overlay: () => StagedWriter;
  #staged: StagedWriter | undefined;

  constructor(place: InPlaceWriter, overlay: () => StagedWriter) {
    this.#base = place.size;
    this.#place = place;
    this.#overlay = overlay;
  }

  get size(): number {
    return this.#now.size;
  }

  get staged(): string | undefined {
    return this.#staged?.staged;
  }

  async writeAt(offset: number, chunk: Uint8Array): Promise<void> {
    if (offset < this.#base && chunk.length > 0) this.#divert("write");
    await this.#now.writeAt(offset, chunk);
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    return this.#now.readAt(offset, into);
  }

  async truncate(size: number): Promise<void> {
    if (size < this.#base) this.#divert("truncate");
    await this.#now.truncate(size);
  }

  sync(): Promise<void> {
    return this.#now.sync();
  }

  commit(attributes?: Attributes): Promise<Entry> {
    return this.#now.commit(attributes);
  }

  keepPartial(): Promise<Entry> {
    return this.#now.keepPartial();
  }

  release(): void {
    // Once it overwrote, the upload is one change: what it had appended before goes with the rest.
    if (this.#staged?.published === false) this.#place.cut(this.#base);
    this.#staged?.release();
    this.#place.release();
  }

  get #now(): StagedWriter | InPlaceWriter {
    return this.#staged ?? this.#place;
  }

  #divert(op: string): void {
    if (this.#staged) return;
    try {
      this.#staged = this.#overlay();
    } catch (cause) {
      throw cause instanceof FsError ? cause : toFsError(op, "")(cause);
    }
  }
}
