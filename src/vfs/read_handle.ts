import { Effect } from "effect";
import { FsError } from "../errors.ts";
import type { NewEvent } from "../events/event.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import type { Reader } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { setAttributes } from "./attributes.ts";
import type { Ending } from "./ending.ts";
import { promised } from "./promised.ts";
import type { Flow } from "./limits.ts";
import type { OwnedHandle } from "./vfs.ts";
import { stopwatch } from "../monotonic.ts";

/** A download. One event at its end, if anything was read. */
export class ReadHandle implements OwnedHandle {
  readonly #access: Access;
  readonly #reader: Reader;
  readonly #ending: Ending;
  readonly #watch: { moved(bytes: number): void; end(): void } | undefined;
  readonly #flow: Flow | undefined;
  readonly #elapsed = stopwatch();
  #moved = 0;
  #failed = false;
  #over = false;

  constructor(
    access: Access,
    readonly path: VPath,
    reader: Reader,
    ending: Ending,
  ) {
    this.#access = access;
    this.#reader = reader;
    this.#ending = ending;
    this.#flow = access.limits?.flow("download", path);
    this.#watch = access.observer?.begin(path, "download");
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    try {
      const n = await this.#reader.readAt(offset, into);
      // After the look: only what there is takes its turn.
      if (this.#flow) await this.#flow.pass(n);
      this.#moved += n;
      this.#watch?.moved(n);
      return n;
    } catch (cause) {
      this.#failed = true;
      throw cause;
    }
  }

  write(): Promise<void> {
    return Promise.reject(
      new FsError({ reason: "Denied", op: "write", path: this.path, detail: "opened for reading" }),
    );
  }

  stat(): Effect.Effect<Entry, FsError> {
    return promised(() => this.#reader.stat(), "stat", this.path);
  }

  setAttributes(attributes: Attributes): Effect.Effect<void, FsError> {
    return setAttributes(this.#access, this.path, attributes, true);
  }

  sync(): Effect.Effect<void, FsError> {
    return Effect.void;
  }

  close(): Effect.Effect<void, FsError> {
    return this.leave();
  }

  closeNow(): boolean {
    const { now: release } = this.#ending;
    if (this.#over || !release || this.#flow?.stores) return false;
    const { services: { journal } } = this.#access;
    if (this.#moved > 0) {
      if (this.#access.isFirst("first_download") || !journal.recordNow(this.#event())) return false;
    }
    this.#over = true;
    this.#flow?.cancel();
    this.#watch?.end();
    release();
    return true;
  }

  leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#over) return Effect.void;
      this.#over = true;
      this.#watch?.end();
      const { later } = this.#ending;
      const over = this.#flow ? Effect.ensuring(this.#flow.end, later) : later;
      return this.#moved === 0 ? over : Effect.ensuring(
        Effect.andThen(
          this.#access.services.journal.record(this.#event()),
          this.#access.touchFirst("first_download"),
        ),
        over,
      );
    });
  }

  #event(): NewEvent {
    return this.#access.event("download", this.path, {
      status: this.#failed ? 2 : 1,
      file_size: this.#moved,
      elapsed: this.#elapsed(),
    });
  }
}
