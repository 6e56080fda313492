import { Cause, Effect, Option } from "effect";
import { FsError } from "../errors.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import type { WriteMode, Writer } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { attributesAllowed } from "./attributes.ts";
import { type Digest, startDigest } from "./digest.ts";
import type { Ending } from "./ending.ts";
import type { Flow } from "./limits.ts";
import { entryAt } from "./look.ts";
import { promised } from "./promised.ts";
import { abandon, publish } from "./publish.ts";
import { publishNow } from "./publish_now.ts";
import type { Lease } from "./quota.ts";
import type { OpenOptions, OwnedHandle } from "./vfs.ts";
import { stopwatch } from "../monotonic.ts";

/** What an upload was opened with. */
export interface UploadParts {
  readonly options: OpenOptions;
  readonly mode: WriteMode;
  /** The file that is replaced or continued. */
  readonly existing: Entry | undefined;
  readonly lease: Lease;
  readonly writer: Writer;
  /** Gives back writer and lease. */
  readonly ending: Ending;
}

const empty = new Uint8Array(0);

/** An upload, perhaps read as well. Nothing counts before `close` has committed it. */
export class UploadHandle implements OwnedHandle {
  readonly started = Date.now();
  readonly elapsed = stopwatch();
  /** First failure of a write: the upload cannot be committed any more. */
  failure: FsError | undefined;
  /** Mode and times to set at commit. */
  pending: Attributes = {};
  readonly #watch: { moved(bytes: number): void; end(): void } | undefined;
  readonly #flow: Flow | undefined;
  readonly #leave: () => void;
  readonly #readable: boolean;
  readonly #running = new Set<Promise<unknown>>();
  /** Undefined before the first byte, and once the bytes did not come in order. */
  #digest: Digest | undefined;
  #ordered: boolean;
  #sum: string | undefined;
  /** `closeNow` was called; if it failed once, it would again. */
  #tried = false;
  #hashed = 0;
  #state: "open" | "closing" | "closed" = "open";

  constructor(
    readonly access: Access,
    readonly path: VPath,
    readonly parts: UploadParts,
  ) {
    const { storage, key } = access.at(path);
    this.#readable = parts.options.read && access.may("read", path);
    this.#ordered = parts.mode !== "update";
    const inPlace = parts.writer.staged === undefined;
    this.#leave = access.services.uploads.enter(storage.identity, key, {
      started: this.started,
      ...(inPlace ? { counted: { size: parts.existing?.size } } : {}),
      size: () => parts.writer.size,
      truncate: (size) => this.truncate(size),
      remember: (attributes) => this.remember(attributes),
    });
    this.#flow = access.limits?.flow("upload", path);
    this.#watch = access.observer?.begin(path, "upload");
  }

  get writer(): Writer {
    return this.parts.writer;
  }

  /** SHA-256 of the content, where it arrived in order from its first byte. */
  get checksum(): string | undefined {
    if (!this.#ordered || this.#hashed !== this.writer.size) return undefined;
    return this.#sum ??= (this.#digest ?? startDigest(empty)).hex();
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    if (!this.#readable) throw this.#error("Denied", "read");
    if (this.#state !== "open") throw this.#error("Aborted", "read");
    return await this.#track(this.writer.readAt(offset, into));
  }

  async write(offset: number, chunk: Uint8Array): Promise<void> {
    if (this.#state !== "open") throw this.#error("Aborted", "write");
    if (this.failure) throw this.failure;
    if (this.#flow) await this.#track(this.#paced(this.#flow, offset, chunk));
    else await this.#store(offset, chunk);
  }

  /** The close waits for what waits here; who leaves does not. */
  async #paced(flow: Flow, offset: number, chunk: Uint8Array): Promise<void> {
    try {
      await flow.pass(chunk.length);
    } catch (cause) {
      throw this.#fail(cause, "write");
    }
    if (flow.cancelled) throw this.#error("Aborted", "write");
    await this.#store(offset, chunk);
  }

  async #store(offset: number, chunk: Uint8Array): Promise<void> {
    const at = this.parts.options.append ? this.writer.size : offset;
    try {
      this.#makeRoom(at + chunk.length);
      const summed = this.#take(at, chunk);
      const stored = this.#track(this.writer.writeAt(at, chunk));
      if (summed) await this.#both(this.#track(summed), stored);
      else await stored;
      this.#watch?.moved(chunk.length);
    } catch (cause) {
      throw this.#fail(cause, "write");
    }
  }

  async truncate(size: number): Promise<void> {
    if (this.failure) throw this.failure;
    try {
      this.#makeRoom(size);
      if (size !== this.#hashed) {
        this.#digest = undefined;
        this.#ordered = size === 0;
      }
      if (size === 0) this.#hashed = 0;
      await this.#track(this.writer.truncate(size));
    } catch (cause) {
      throw this.#fail(cause, "truncate");
    }
  }

  remember(attributes: Attributes): void {
    this.pending = { ...this.pending, ...attributes };
  }

  stat(): Effect.Effect<Entry, FsError> {
    return entryAt(this.access, this.path, true).pipe(
      Effect.map((entry) => ({ ...entry, size: this.writer.size })),
    );
  }

  setAttributes(attributes: Attributes): Effect.Effect<void, FsError> {
    return Effect.gen(this, function* () {
      const { size, ...rest } = yield* attributesAllowed(this.access, this.path, attributes);
      if (size !== undefined) yield* promised(() => this.truncate(size), "setattr", this.path);
      this.remember(rest);
    });
  }

  sync(): Effect.Effect<void, FsError> {
    return Effect.mapError(
      promised(() => this.writer.sync(), "sync", this.path),
      (cause) => this.#fail(cause, "sync"),
    );
  }

  close(): Effect.Effect<void, FsError> {
    return Effect.uninterruptible(Effect.suspend(() => {
      if (this.#state !== "open") return Effect.fail(this.#error("Aborted", "close"));
      if (!this.#tried && this.closeNow()) return Effect.void;
      this.#state = "closing";
      const body = Effect.suspend(() => this.failure ? Effect.fail(this.failure) : publish(this));
      return Effect.matchCauseEffect(this.#quiet(body), {
        onSuccess: () => this.#over(),
        onFailure: (cause) => {
          const error = Option.getOrUndefined(Cause.failureOption(cause));
          if (error) this.failure = error;
          return Effect.andThen(this.leave(), Effect.failCause(cause));
        },
      });
    }));
  }

  prepare(): void {
    if (this.#state !== "open") return;
    try {
      this.writer.prepare?.();
    } catch (cause) {
      this.#fail(cause, "open");
    }
  }

  closeNow(): boolean {
    this.#tried = true;
    const { now: release } = this.parts.ending;
    if (!release || this.#state !== "open" || this.failure || this.#running.size > 0) return false;
    if (this.#flow?.stores) return false;
    try {
      if (!publishNow(this)) return false;
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      this.failure = error;
      return false;
    }
    this.#vanish();
    release();
    return true;
  }

  leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#state === "closed") return Effect.void;
      this.#state = "closing";
      this.#flow?.cancel();
      return Effect.uninterruptible(Effect.ensuring(
        this.#quiet(Effect.suspend(() => abandon(this))),
        this.#over(),
      ));
    });
  }

  /** Runs `then` when no read or write is under way any more. */
  #quiet<A, E>(then: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.#running.size === 0
      ? then
      : Effect.andThen(Effect.promise(() => Promise.allSettled(this.#running)), then);
  }

  /** Makes an end, once: the upload is not seen any more, and all that it held is given back. */
  #over(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#state === "closed") return Effect.void;
      this.#vanish();
      const { later } = this.parts.ending;
      return this.#flow ? Effect.ensuring(this.#flow.end, later) : later;
    });
  }

  #vanish(): void {
    this.#state = "closed";
    this.#leave();
    this.#watch?.end();
  }

  /** Takes quota for a file of `size` bytes before they are stored (BEHAVIOUR QUOTA-05, QUOTA-06). */
  #makeRoom(size: number): void {
    const limit = this.access.user.filters.max_upload_file_size;
    if (limit > 0 && size > limit && size > this.writer.size) {
      throw this.#error("TooLarge", "write", `files may have at most ${limit} bytes`);
    }
    if (!this.parts.lease.grow(size)) {
      throw this.#error("QuotaExceeded", "write", "disk quota exceeded");
    }
  }

  #take(at: number, chunk: Uint8Array): Promise<void> | undefined {
    if (!this.#ordered || chunk.length === 0) return undefined;
    if (at !== this.#hashed) {
      this.#ordered = false;
      this.#digest = undefined;
      return undefined;
    }
    this.#hashed += chunk.length;
    this.#digest ??= startDigest(chunk);
    return this.#digest.update(chunk);
  }

  /** The caller's memory is lent until both are done, also where one fails. */
  async #both(one: Promise<void>, other: Promise<void>): Promise<void> {
    const ends = await Promise.allSettled([one, other]);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  #track<A>(step: Promise<A>): Promise<A> {
    this.#running.add(step);
    const done = () => this.#running.delete(step);
    step.then(done, done);
    return step;
  }

  #fail(cause: unknown, op: string): FsError {
    const error = cause instanceof FsError
      ? cause
      : this.#error("Unavailable", op, undefined, cause);
    this.failure ??= error;
    return error;
  }

  #error(reason: FsError["reason"], op: string, detail?: string, cause?: unknown): FsError {
    return new FsError({ reason, op, path: this.path, ...(detail ? { detail } : {}), cause });
  }
}
