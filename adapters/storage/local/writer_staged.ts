import * as fs from "node:fs";
import { FsError } from "../../../src/errors.ts";
import type { Attributes, Entry } from "../../../src/model/entry.ts";
import { redoLimit } from "../../../src/storage/redo.ts";
import type { Logged, Writer } from "../../../src/storage/storage.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { applyTo } from "./attributes.ts";
import { dirOf, keyOf, nameOf } from "./confine.ts";
import {
  closeQuietly,
  disown,
  dress,
  dropTemp,
  isRoot,
  type LocalOptions,
  openKept,
  openTemp,
  openToRead,
  publish,
  type Temp,
  tempBeside,
} from "./disk.ts";
import { entryOf } from "./entry.ts";
import { toFsError } from "./errors.ts";
import { publishFromAfar } from "./held_place.ts";
import { type Info, peek, peekOpen } from "./info.ts";
import { copyRange, flushed, flushing, readAt, readWhole, syncFile, writeAt } from "./io.ts";
import { redoOf } from "./redo_facts.ts";
import { UnflushedFile } from "./unflushed.ts";

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
 * Writes to a temporary file beside the target, published by rename.
 *
 * With an old file to build on (`base`), the temporary file holds the content
 * below `high`; above it the old bytes count up to `tail`, and they are copied
 * when a write jumps over them or at commit.
 */
export class StagedWriter implements Writer {
  readonly #options: LocalOptions;
  readonly #target: Target;
  /** Absolute path of the temporary file, there or not yet. */
  readonly #path: string;
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
  #failed: FsError | undefined;
  #done = false;
  /** Published from the intent log, and not flushed. */
  #logged = false;
  /** The one write that there was, where a small upload is all of it. */
  #content: Uint8Array | undefined;
  /** Writes wait for one another only while old content is being copied. */
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0;

  constructor(options: LocalOptions, target: Target, turns: Turns) {
    this.#options = options;
    this.#target = target;
    this.#path = target.kept ?? tempBeside(target.path);
    this.#made = () => turns.together(() => this.#make());
  }

  /** Makes the temporary file now, and not when it is first needed. Throws FsError. */
  prepare(): void {
    try {
      this.#open ??= this.#made();
    } catch (cause) {
      throw this.#failed = toFsError("open", this.#target.key)(cause);
    }
  }

  /** Builds on the file that is there; leaves nothing if it throws FsError or a system error. */
  build(): void {
    try {
      this.prepare();
      if (!this.#target.info) return;
      this.#base = openToRead(this.#target.path);
      this.#tail = peekOpen(this.#base).size;
    } catch (cause) {
      // Whoever made this writer never gets to hold it, so nobody else would.
      this.release();
      throw cause;
    }
  }

  get #temp(): Temp {
    return this.#open ??= this.#made();
  }

  #make(): Temp {
    const { info: old, permissions, kept } = this.#target;
    const temp = kept === undefined
      ? openTemp(this.#options, this.#path)
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

  get size(): number {
    return Math.max(this.#high, this.#tail);
  }

  get published(): boolean {
    return this.#done;
  }

  get staged(): string {
    return keyOf(this.#options.root, this.#path);
  }

  writeAt(offset: number, chunk: Uint8Array): Promise<void> {
    return this.#guard("write", async () => {
      if (this.#base !== undefined) return await this.#inTurn(() => this.#put(offset, chunk));
      await this.#put(offset, chunk);
    });
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    return this.#guard(
      "read",
      () =>
        this.#base === undefined
          ? readAt(this.#temp.fd, offset, into)
          : this.#inTurn(() => this.#readBoth(this.#base as number, offset, into)),
    );
  }

  truncate(size: number): Promise<void> {
    return this.#guard("truncate", () =>
      this.#inTurn(async () => {
        this.#tail = Math.min(this.#tail, size);
        if (size > this.#high) await this.#fill(size);
        await flushed(this.#temp.fd);
        this.#content = undefined;
        fs.ftruncateSync(this.#temp.fd, size);
        this.#high = size;
        this.#inOrder = Math.min(this.#inOrder, size);
        this.#dirty = true;
        this.#early = undefined;
      }));
  }

  sync(): Promise<void> {
    return this.#guard("sync", () =>
      this.#inTurn(async () => {
        await this.#fill(this.#tail);
        await this.#flush();
      }));
  }

  redo(attributes: Attributes = {}): Logged | undefined {
    try {
      return this.#redo(attributes);
    } catch (cause) {
      throw this.#failed = toFsError("close", this.#target.key)(cause);
    }
  }

  #redo(attributes: Attributes): Logged | undefined {
    if (this.#target.kept !== undefined) return undefined;
    const whole = this.#options.fsync && this.#base === undefined && this.size <= redoLimit;
    if (!whole || this.#turns > 0 || this.#failed || this.#done) return undefined;
    const { fd } = this.#temp;
    const content = this.#content?.length === this.size ? this.#content : readWhole(fd, this.size);
    if (content.length < this.size) return undefined;
    applyTo(fd, attributes);
    const info = peekOpen(fd);
    return { redo: redoOf(info), content, commit: () => this.#publishLogged(info) };
  }

  commit(attributes?: Attributes): Promise<Entry> {
    return this.#guard("commit", () =>
      this.#inTurn(async () => {
        await this.#fill(this.#tail);
        return await this.#publish(this.#target.exclusive, attributes);
      }));
  }

  keepPartial(): Promise<Entry> {
    return this.#guard("commit", () =>
      this.#inTurn(async () => {
        await flushed(this.#temp.fd);
        if (this.#target.kept !== undefined || this.#target.info || peek(this.#target.path)) {
          throw new FsError({
            reason: "Conflict",
            op: "commit",
            path: this.#target.key,
            detail: "a part is not kept here",
          });
        }
        fs.ftruncateSync(this.#temp.fd, this.#inOrder);
        this.#high = this.#inOrder;
        this.#dirty = true;
        this.#early = undefined;
        return this.#publish(true);
      }));
  }

  /** Runs when the scope closes. */
  release(): void {
    if (this.#base !== undefined) closeQuietly(this.#base);
    // Of a logged one the descriptor goes when it is flushed.
    if (this.#open && !this.#done) this.#drop(this.#open);
    else if (this.#open && !this.#logged) closeQuietly(this.#open.fd);
    this.#done = true;
  }

  async #put(offset: number, chunk: Uint8Array): Promise<void> {
    if (offset > this.#high) await this.#fill(Math.min(offset, this.#tail));
    await writeAt(this.#temp.fd, offset, chunk);
    const end = offset + chunk.length;
    const only = this.#target.redo && this.#high === 0 && offset === 0 && end <= redoLimit;
    this.#content = only ? chunk.slice() : undefined;
    if (end > this.#high) this.#high = end;
    if (offset <= this.#inOrder && end > this.#inOrder) this.#inOrder = end;
    this.#dirty = true;
    this.#early = undefined;
    if (
      !this.#target.redo && chunk.length < wholeFile && end === chunk.length &&
      this.#base === undefined
    ) {
      this.#startFlush();
    }
  }

  /**
   * Flushes a small first write at once, since it is most likely all there is:
   * by the time the client has heard of it and closes, the disk is done.
   */
  #startFlush(): void {
    if (!this.#options.fsync) return;
    this.#early = syncFile(this.#temp.fd, this.#target.key);
    // Told by whoever waits for the flush that counts.
    this.#early.catch(() => {});
  }

  /** Copies old bytes so that the temporary file is right up to `end`. */
  async #fill(end: number): Promise<void> {
    if (this.#base === undefined || end <= this.#high) return;
    const to = Math.min(end, this.#tail);
    if (to <= this.#high) return;
    const reached = await copyRange(this.#base, this.#temp.fd, this.#high, to);
    if (reached < to) {
      throw new FsError({
        reason: "Conflict",
        op: "write",
        path: this.#target.key,
        detail: "the old file shrank under the upload",
      });
    }
    this.#high = to;
    this.#dirty = true;
    this.#early = undefined;
  }

  async #readBoth(base: number, offset: number, into: Uint8Array): Promise<number> {
    if (offset < this.#high) {
      return await readAt(
        this.#temp.fd,
        offset,
        into.subarray(0, Math.min(into.length, this.#high - offset)),
      );
    }
    const room = Math.max(0, Math.min(into.length, this.#tail - offset));
    return room === 0 ? 0 : await readAt(base, offset, into.subarray(0, room));
  }

  async #flush(): Promise<void> {
    if (!this.#options.fsync || !this.#dirty) return;
    // What is written from here on is for the next flush.
    this.#dirty = false;
    await (this.#early ?? syncFile(this.#temp.fd, this.#target.key));
  }

  #publishLogged(info: Info): ReturnType<Logged["commit"]> {
    this.#check("commit");
    const { fd, path } = this.#temp;
    const target = this.#target.path;
    try {
      publish(path, target, this.#target.exclusive);
    } catch (cause) {
      throw this.#failed = toFsError("commit", this.#target.key)(cause);
    }
    this.#done = this.#logged = true;
    disown(path);
    return {
      entry: entryOf(nameOf(target), info),
      unflushed: new UnflushedFile(fd, info, target),
    };
  }

  async #publish(exclusive: boolean, attributes: Attributes = {}): Promise<Entry> {
    const { fd, path } = this.#temp;
    const target = this.#target.path;
    // Attributes would meet the flush of a first write; what was flushed before them stays flushed.
    if (Object.keys(attributes).length > 0) await flushed(fd);
    if (applyTo(fd, attributes)) this.#early = undefined;
    await this.#flush();
    const change = () => {
      if (this.#target.kept === undefined) publish(path, target, exclusive);
      else publishFromAfar(this.#options.root, path, target, exclusive);
      this.#done = true;
      disown(path);
    };
    if (this.#options.fsync) await flushing([dirOf(target)], change);
    else change();
    return entryOf(nameOf(target), peekOpen(fd));
  }

  /** Runs `step` after those before it; at once, and without giving the loop back first, if there is none. */
  #inTurn<A>(step: () => Promise<A>): Promise<A> {
    const next = this.#turns === 0 ? step() : this.#turn.then(step);
    this.#turns++;
    const over = () => {
      this.#turns--;
    };
    this.#turn = next.then(over, over);
    return next;
  }

  /** A failed write or flush is final: what the kernel holds after it is not known (SECURITY 5). */
  async #guard<A>(op: string, step: () => Promise<A>): Promise<A> {
    this.#check(op);
    try {
      return await step();
    } catch (cause) {
      const error = toFsError(op, this.#target.key)(cause);
      if (op !== "read") this.#failed = error;
      throw error;
    }
  }

  #check(op: string): void {
    if (this.#failed) throw this.#failed;
    if (!this.#done) return;
    throw new FsError({ reason: "Aborted", op, path: this.#target.key, detail: "upload is over" });
  }
}

/** A write shorter than what clients send a long file in, in bytes. */
const wholeFile = 32 * 1024;

const modeOf = (info: Info | undefined): number | undefined => info && info.mode & 0o777;
