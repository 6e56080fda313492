import { Effect, Exit, Scope } from "effect";
import { FsError } from "../errors.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import type { Reader } from "../storage/storage.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { setAttributes } from "./attributes.ts";
import { promised } from "./promised.ts";
import type { Handle } from "./vfs.ts";

/** A download. One event at its end, if anything was read. */
export class ReadHandle implements Handle {
  readonly #access: Access;
  readonly #reader: Reader;
  readonly #scope: Scope.CloseableScope;
  readonly #watch: { moved(bytes: number): void; end(): void } | undefined;
  readonly #started = Date.now();
  #moved = 0;
  #failed = false;
  #over = false;

  constructor(
    access: Access,
    readonly path: VPath,
    reader: Reader,
    scope: Scope.CloseableScope,
  ) {
    this.#access = access;
    this.#reader = reader;
    this.#scope = scope;
    this.#watch = access.observer?.begin(path, "download");
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    try {
      const n = await this.#reader.readAt(offset, into);
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
    return Scope.close(this.#scope, Exit.void);
  }

  /** Runs once, when the scope closes. */
  leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#over) return Effect.void;
      this.#over = true;
      this.#watch?.end();
      if (this.#moved === 0) return Effect.void;
      return Effect.andThen(
        this.#access.services.journal.record(this.#access.event("download", this.path, {
          status: this.#failed ? 2 : 1,
          file_size: this.#moved,
          elapsed: Date.now() - this.#started,
        })),
        this.#access.touchFirst("first_download"),
      );
    });
  }
}
