import { Clock, Effect } from "effect";
import { FsError } from "../errors.ts";
import type { Entry } from "../model/entry.ts";
import type { Keeping } from "../storage/kept.ts";
import type { WriteOptions, Writer } from "../storage/storage.ts";
import { attempt } from "./attempt.ts";
import type { Flow } from "./limits.ts";
import { promised } from "./promised.ts";
import type { Lease } from "./quota.ts";
import { type Part, type Resumable, shown } from "./resumable.ts";
import type { ResumableDesk } from "./resumable_desk.ts";
import { UploadHandle } from "./upload_handle.ts";
import type { UploadRecord } from "./upload_records.ts";
import type { OpenOptions } from "./vfs.ts";

interface Parts {
  readonly desk: ResumableDesk;
  readonly record: UploadRecord;
  readonly keeping: Keeping;
  readonly writer: Writer;
  readonly lease: Lease;
  /** Absent for a piece of a file. */
  readonly target: {
    readonly existing: Entry | undefined;
    readonly how: WriteOptions;
    readonly options: OpenOptions;
  } | undefined;
  readonly checked: boolean;
}

/** See {@linkcode Part}. The writer, the lease and the upload are its maker's to give back. */
export class ResumablePart implements Part {
  readonly #begun: number;
  readonly #watch: { moved(bytes: number): void; end(): void } | undefined;
  readonly #flow: Flow | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(readonly parts: Parts) {
    const { desk: { access }, record, writer } = parts;
    this.#begun = writer.size;
    this.#flow = access.limits?.flow("upload", record.path);
    this.#watch = access.observer?.begin(record.path, "upload");
  }

  get offset(): number {
    return this.parts.writer.size;
  }
  get length(): number {
    return this.parts.record.length;
  }
  get wanted(): Effect.Effect<void> {
    return this.parts.desk.wanted(this.parts.record);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { writer, lease, record } = this.parts;
    if (this.#closed) throw this.#error("Aborted", "the upload goes on elsewhere");
    const end = writer.size + chunk.length;
    if (end > record.length) throw this.#error("TooLarge", "more than the upload's length");
    if (!lease.grow(end)) throw this.#error("QuotaExceeded", "disk quota exceeded");
    if (this.#flow) {
      await this.#flow.pass(chunk.length);
      if (this.#closed) throw this.#error("Aborted", "the upload goes on elsewhere");
    }
    const step = writer.writeAt(writer.size, chunk);
    this.#running = step.catch(() => {});
    await step;
    this.#watch?.moved(chunk.length);
  }

  /** Nothing is written any more once this has ended. */
  quiet(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#closed) this.#watch?.end();
      this.#closed = true;
      const over = Effect.promise(() => this.#running);
      return this.#flow ? Effect.zipLeft(over, this.#flow.end) : over;
    });
  }

  undo(): Effect.Effect<void, FsError> {
    const { writer, keeping, record } = this.parts;
    return Effect.gen(this, function* () {
      yield* this.quiet();
      yield* promised(() => writer.truncate(this.#begun), "upload", record.path);
      yield* promised(() => writer.sync(), "upload", record.path);
      yield* keeping.unmark(record.id);
    });
  }

  end(): Effect.Effect<Resumable, FsError> {
    const { desk, keeping, record, writer, target, checked } = this.parts;
    return Effect.gen(this, function* () {
      yield* this.quiet();
      yield* Effect.tapError(
        promised(() => writer.sync(), "upload", record.path),
        // What the disk refused once it may forget later: all of it has to come again.
        () => Effect.ignore(keeping.mark(record.id, this.#begun)),
      );
      if (checked) yield* keeping.unmark(record.id);
      if (writer.size < record.length || !target) {
        const now = yield* Clock.currentTimeMillis;
        return shown(record, writer.size, now + desk.records.lifetime);
      }
      yield* this.#finish(target);
      return shown(record, record.length);
    });
  }

  /** Puts the file in its place, as any upload is. */
  #finish(target: NonNullable<Parts["target"]>): Effect.Effect<void, FsError> {
    const { desk, record, writer, lease } = this.parts;
    const { mtime } = record.options;
    return Effect.uninterruptible(Effect.gen(function* () {
      yield* desk.setFinishing(record, true);
      yield* Effect.gen(function* () {
        const handle = yield* attempt(() =>
          new UploadHandle(desk.access, record.path, {
            options: target.options,
            mode: target.how.mode,
            existing: target.existing,
            lease,
            writer,
            ending: { later: Effect.void },
          })
        );
        if (mtime !== undefined) yield* Effect.ignore(handle.setAttributes({ mtime }));
        yield* handle.close();
      }).pipe(
        Effect.tapErrorCause(() => Effect.ignore(desk.setFinishing(record, false))),
      );
    }));
  }

  #error(reason: FsError["reason"], detail: string): FsError {
    return new FsError({ reason, op: "upload", path: this.parts.record.path, detail });
  }
}
