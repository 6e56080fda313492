import { FsError } from "../../../src/errors.ts";
import type { Attributes, Entry } from "../../../src/model/entry.ts";
import { redoLimit } from "../../../src/storage/redo.ts";
import type { Logged, Writer } from "../../../src/storage/storage.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { applyTo } from "./attributes.ts";
import { dirOf, keyOf, nameOf } from "./confine.ts";
import { disown, type LocalOptions, publish } from "./disk.ts";
import { entryOf } from "./entry.ts";
import { toFsError } from "./errors.ts";
import { publishFromAfar } from "./held_place.ts";
import { type Info, peek, peekOpen } from "./info.ts";
import { flushed, flushing } from "./io.ts";
import { redoOf } from "./redo_facts.ts";
import { StagedContent, type Target } from "./staged_content.ts";
import { UnflushedFile } from "./unflushed.ts";

/** Writes to a temporary file beside the target, published by rename. */
export class StagedWriter implements Writer {
  readonly #options: LocalOptions;
  readonly #target: Target;
  readonly #content: StagedContent;
  #failed: FsError | undefined;
  #done = false;
  /** Published from the intent log, and not flushed. */
  #logged = false;
  /** Writes wait for one another only while old content is being copied. */
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0;

  constructor(options: LocalOptions, target: Target, turns: Turns) {
    this.#options = options;
    this.#target = target;
    this.#content = new StagedContent(options, target, turns);
  }

  /** Makes the temporary file now, and not when it is first needed. Throws FsError. */
  prepare(): void {
    try {
      this.#content.temp;
    } catch (cause) {
      throw this.#failed = toFsError("open", this.#target.key)(cause);
    }
  }

  /** Builds on the file that is there; leaves nothing if it throws FsError or a system error. */
  build(): void {
    try {
      this.prepare();
      this.#content.build();
    } catch (cause) {
      // Whoever made this writer never gets to hold it, so nobody else would.
      this.release();
      throw cause;
    }
  }

  get size(): number {
    return this.#content.size;
  }

  get published(): boolean {
    return this.#done;
  }

  get staged(): string {
    return keyOf(this.#options.root, this.#content.path);
  }

  writeAt(offset: number, chunk: Uint8Array): Promise<void> {
    return this.#guard("write", () => {
      const put = () => this.#content.put(offset, chunk);
      return this.#content.layered ? this.#inTurn(put) : put();
    });
  }

  readAt(offset: number, into: Uint8Array): Promise<number> {
    return this.#guard("read", () => {
      const read = () => this.#content.read(offset, into);
      return this.#content.layered ? this.#inTurn(read) : read();
    });
  }

  truncate(size: number): Promise<void> {
    return this.#guard("truncate", () => this.#inTurn(() => this.#content.truncate(size)));
  }

  sync(): Promise<void> {
    return this.#guard("sync", () =>
      this.#inTurn(async () => {
        await this.#content.fill();
        await this.#content.flush();
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
    const whole = this.#options.fsync && !this.#content.layered && this.size <= redoLimit;
    if (!whole || this.#turns > 0 || this.#failed || this.#done) return undefined;
    const { fd } = this.#content.temp;
    const content = this.#content.whole();
    if (!content) return undefined;
    applyTo(fd, attributes);
    const info = peekOpen(fd);
    return { redo: redoOf(info), content, commit: () => this.#publishLogged(info) };
  }

  commit(attributes?: Attributes): Promise<Entry> {
    return this.#guard("commit", () =>
      this.#inTurn(async () => {
        await this.#content.fill();
        return await this.#publish(this.#target.exclusive, attributes);
      }));
  }

  keepPartial(): Promise<Entry> {
    return this.#guard("commit", () =>
      this.#inTurn(async () => {
        await flushed(this.#content.temp.fd);
        if (this.#target.kept !== undefined || this.#target.info || peek(this.#target.path)) {
          throw new FsError({
            reason: "Conflict",
            op: "commit",
            path: this.#target.key,
            detail: "a part is not kept here",
          });
        }
        this.#content.cutToOrder();
        return this.#publish(true);
      }));
  }

  /** Runs when the scope closes. */
  release(): void {
    // Of a logged one the descriptor goes when it is flushed.
    this.#content.release(this.#done, this.#logged);
    this.#done = true;
  }

  #publishLogged(info: Info): ReturnType<Logged["commit"]> {
    this.#check("commit");
    const { fd, path } = this.#content.temp;
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
    const { fd, path } = this.#content.temp;
    const target = this.#target.path;
    await this.#content.setAttributes(attributes);
    await this.#content.flush();
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
