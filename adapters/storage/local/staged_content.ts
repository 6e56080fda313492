import * as fs from "node:fs";
import { FsError } from "../../../src/errors.ts";
import type { Attributes } from "../../../src/model/entry.ts";
import { redoLimit } from "../../../src/storage/redo.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { applyTo } from "./attributes.ts";
import {
  closeQuietly,
  dress,
  dropTemp,
  isRoot,
  type LocalOptions,
  openKept,
  openTemp,
  openToRead,
  type Temp,
  tempBeside,
} from "./disk.ts";
import { type Info, peekOpen } from "./info.ts";
import { copyRange, flushed, readAt, readWhole, syncFile, writeAt } from "./io.ts";
import { Writeback } from "./writeback.ts";

/** What a staged upload is about to become. */
export interface Target {
  readonly key: string;
  /** Absolute path after links were followed. */
  readonly path: string;
  /** The file there at open, if any. */
  readonly info: Info | undefined;
  /** Fail rather than replace. */
  readonly exclusive: boolean;
  readonly permissions?: number;
  /** Small content will be in the intent log, so no flush of it is begun early. */
  readonly redo?: boolean;
  /** Absolute path of the kept object that is written on, and published, in place of a temporary file. */
  readonly kept?: string;
}

/**
 * The bytes of a staged upload, in a temporary file that is made when it is
 * first needed.
 *
 * With an old file to build on ({@linkcode StagedContent.build}), the temporary
 * file holds the content below `high`; above it the old bytes count up to
 * `tail`, and they are copied when a write jumps over them or by
 * {@linkcode StagedContent.fill}. Calls that copy must not overlap with others.
 * Everything here throws FsError or a system error.
 */
export class StagedContent {
  /** Absolute path of the temporary file, there or not yet. */
  readonly path: string;
  readonly #options: LocalOptions;
  readonly #target: Target;
  readonly #made: () => Temp;
  #open: Temp | undefined;
  #base: number | undefined;
  #tail = 0;
  #high = 0;
  /** End of the bytes that arrived without a gap from 0: what a cut upload may keep. */
  #inOrder = 0;
  #dirty = true;
  /** A flush under way of everything that was written so far. */
  #early: Promise<void> | undefined;
  readonly #writeback = new Writeback();
  /** The one write that there was, where a small upload is all of it. */
  #only: Uint8Array | undefined;

  constructor(options: LocalOptions, target: Target, turns: Turns) {
    this.#options = options;
    this.#target = target;
    this.path = target.kept ?? tempBeside(target.path);
    this.#made = () => turns.together(() => this.#make());
  }

  /** Whether the old file is built on. */
  get layered(): boolean {
    return this.#base !== undefined;
  }

  get size(): number {
    return Math.max(this.#high, this.#tail);
  }

  /** The temporary file, made now if there is none yet. */
  get temp(): Temp {
    return this.#open ??= this.#made();
  }

  /** Starts from the bytes of the file that is at the target, if any. */
  build(): void {
    if (!this.#target.info) return;
    this.#base = openToRead(this.#target.path);
    this.#tail = peekOpen(this.#base).size;
  }

  async put(offset: number, chunk: Uint8Array): Promise<void> {
    if (offset > this.#high) await this.fill(Math.min(offset, this.#tail));
    await writeAt(this.temp.fd, offset, chunk);
    const end = offset + chunk.length;
    const only = this.#target.redo && this.#high === 0 && offset === 0 && end <= redoLimit;
    this.#only = only ? chunk.slice() : undefined;
    if (end > this.#high) this.#high = end;
    if (offset <= this.#inOrder && end > this.#inOrder) this.#inOrder = end;
    if (this.#options.fsync) this.#writeback.reached(this.temp.fd, this.#inOrder);
    this.#changed();
    const first = chunk.length < wholeFile && end === chunk.length && !this.layered;
    if (first && !this.#target.redo) this.#startFlush();
  }

  read(offset: number, into: Uint8Array): Promise<number> {
    if (this.#base === undefined) return readAt(this.temp.fd, offset, into);
    if (offset < this.#high) {
      return readAt(this.temp.fd, offset, into.subarray(0, this.#high - offset));
    }
    const room = Math.max(0, Math.min(into.length, this.#tail - offset));
    return room === 0 ? Promise.resolve(0) : readAt(this.#base, offset, into.subarray(0, room));
  }

  async truncate(size: number): Promise<void> {
    this.#tail = Math.min(this.#tail, size);
    if (size > this.#high) await this.fill(size);
    await flushed(this.temp.fd);
    this.#only = undefined;
    this.#cut(size);
    this.#inOrder = Math.min(this.#inOrder, size);
  }

  /** Leaves only what arrived without a gap from the start. */
  cutToOrder(): void {
    this.#cut(this.#inOrder);
  }

  /** Copies old bytes so that the temporary file is right up to `end`. */
  async fill(end = this.#tail): Promise<void> {
    if (this.#base === undefined || end <= this.#high) return;
    const to = Math.min(end, this.#tail);
    if (to <= this.#high) return;
    const reached = await copyRange(this.#base, this.temp.fd, this.#high, to);
    if (reached < to) {
      throw new FsError({
        reason: "Conflict",
        op: "write",
        path: this.#target.key,
        detail: "the old file shrank under the upload",
      });
    }
    this.#high = to;
    this.#changed();
  }

  /** All of a small content that stands on its own; undefined if the file turns out to be shorter. */
  whole(): Uint8Array | undefined {
    const { size } = this;
    if (this.#only?.length === size) return this.#only;
    const content = readWhole(this.temp.fd, size);
    return content.length < size ? undefined : content;
  }

  /** Attributes would meet the flush of a first write; what was flushed before them stays flushed. */
  async setAttributes(attributes: Attributes): Promise<void> {
    const { fd } = this.temp;
    if (Object.keys(attributes).length > 0) await flushed(fd);
    if (applyTo(fd, attributes)) this.#early = undefined;
  }

  /** Flushes what is not flushed yet, where homes are flushed at all. */
  async flush(): Promise<void> {
    if (!this.#options.fsync || !this.#dirty) return;
    // What is written from here on is for the next flush.
    this.#dirty = false;
    await (this.#early ?? syncFile(this.temp.fd, this.#target.key));
  }

  /** Closes everything, and removes the temporary file unless it is `published`; with `keepOpen` that one's descriptor stays. */
  release(published: boolean, keepOpen: boolean): void {
    if (this.#base !== undefined) closeQuietly(this.#base);
    if (!this.#open) return;
    if (!published) this.#drop(this.#open);
    else if (!keepOpen) closeQuietly(this.#open.fd);
  }

  #make(): Temp {
    const { info: old, permissions, kept } = this.#target;
    const temp = kept === undefined
      ? openTemp(this.#options, this.path)
      : openKept(this.#options, kept);
    try {
      if (kept !== undefined) this.#high = this.#inOrder = peekOpen(temp.fd).size;
      dress(this.#options, temp.fd, permissions ?? modeOf(old), 0o666);
      if (old && isRoot()) fs.fchownSync(temp.fd, old.uid, old.gid);
      return temp;
    } catch (cause) {
      this.#drop(temp);
      throw cause;
    }
  }

  #drop(temp: Temp): void {
    if (this.#target.kept === undefined) dropTemp(temp);
    else closeQuietly(temp.fd);
  }

  #cut(size: number): void {
    fs.ftruncateSync(this.temp.fd, size);
    this.#high = size;
    this.#changed();
  }

  #changed(): void {
    this.#dirty = true;
    this.#early = undefined;
  }

  /**
   * Flushes a small first write at once, since it is most likely all there is:
   * by the time the client has heard of it and closes, the disk is done.
   */
  #startFlush(): void {
    if (!this.#options.fsync) return;
    this.#early = syncFile(this.temp.fd, this.#target.key);
    // Told by whoever waits for the flush that counts.
    this.#early.catch(() => {});
  }
}

/** A write shorter than what clients send a long file in, in bytes. */
const wholeFile = 32 * 1024;

const modeOf = (info: Info | undefined): number | undefined => info && info.mode & 0o777;
