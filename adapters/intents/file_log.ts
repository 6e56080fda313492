import * as fs from "node:fs";
import { Effect, Layer } from "effect";
import { CatalogError } from "../../src/errors.ts";
import { IntentLog, type Unsettled } from "../../src/events/intent_log.ts";
import { fault } from "../../src/failpoint.ts";
import { FlushPace } from "../../src/flush_pace.ts";
import { Left } from "./left.ts";
import { encode, type Line } from "./record.ts";
import { Segment } from "./segment.ts";

export interface FileLogOptions {
  /** Folder of all parts' logs; made when it is first needed. */
  readonly dir: string;
  /** Whose log this is: `hub`, `w1` ... Letters and digits. */
  readonly part: string;
  /** Flush each entry to the disk; without it only the end of the process is survived. */
  readonly flush: boolean;
  /** Bytes of one file. */
  readonly segment?: number;
}

/** Files that are kept for the next load of the same kind. */
const kept = 8;
/** Bytes at the end of a file for the marks of intents in it. */
const slack = 4096;

interface Waiting {
  readonly segment: Segment;
  readonly done: (failure: CatalogError | undefined) => void;
}

/**
 * The intent log in files of a fixed size, `<part>.<process>.<number>.log`.
 *
 * A file is used again when nothing in it is open, so the folder stays small
 * under constant load. Entries that wait at the same moment share one flush.
 */
class FileLog {
  readonly #stamp = `${Date.now().toString(36)}${crypto.randomUUID().slice(0, 8)}`;
  readonly #segments: Segment[] = [];
  readonly #where = new Map<string, Segment>();
  /** Open ones whose content is in the log. */
  readonly #whole = new Set<string>();
  readonly #left: Left;
  readonly #pace = new FlushPace();
  #current: Segment | undefined;
  #n = 0;
  #runs = 0;
  #waiting: Waiting[] = [];
  #flushing = false;

  constructor(private readonly options: FileLogOptions) {
    this.#left = new Left(options.dir);
  }

  append(entry: Omit<Unsettled, "id">): Effect.Effect<string, CatalogError> {
    return Effect.suspend(() => {
      try {
        const now = this.appendNow(entry);
        if (now !== undefined) return Effect.succeed(now);
        const { id, segment } = this.#put(entry);
        return this.#flushed(segment, id, entry.event.virtual_path);
      } catch (cause) {
        return Effect.fail(unavailable(cause));
      }
    });
  }

  appendNow(entry: Omit<Unsettled, "id">): string | undefined {
    const { flush } = this.options;
    if (flush && (this.#flushing || !this.#pace.mayBlock())) return undefined;
    const { id, segment } = this.#put(entry);
    try {
      if (injected(entry.event.virtual_path)) throw eio();
      if (flush) this.#pace.block(() => fs.fdatasyncSync(segment.fd));
      return id;
    } catch (cause) {
      this.#spoil(id);
      throw cause;
    }
  }

  /** Writes an entry, without a flush. */
  #put({ content, ...entry }: Omit<Unsettled, "id">): { id: string; segment: Segment } {
    const id = `${this.#stamp}-${++this.#n}`;
    const line = (run: number): Line => ({
      run,
      at: Date.now(),
      n: this.#n,
      entry: { id, ...entry },
    });
    const segment = this.#write(line, content);
    segment.open++;
    this.#where.set(id, segment);
    if (content) this.#whole.add(id);
    return { id, segment };
  }

  cancel(id: string): void {
    if (this.#left.resolve(id, "cancelled")) return;
    const segment = this.#where.get(id);
    if (!segment) return;
    try {
      const marked = this.#mark(segment, { cancelled: id });
      // After a power cut it would be done from its content, of which the client heard that it failed.
      if (this.#whole.has(id) && this.options.flush) fs.fdatasyncSync(marked.fd);
    } catch {
      // A restart that still finds it looks at the storage, and finds that it did not happen.
    }
    this.#close(id);
  }

  done(id: string): void {
    const segment = this.#where.get(id);
    // Whoever serves alone tells the catalog in the order of its operations.
    if (!segment || segment.failed || this.options.part === "hub") return;
    try {
      this.#mark(segment, { done: id });
    } catch {
      // The storage is looked at instead, which is right unless others were there since.
    }
  }

  forget(id: string): void {
    if (!this.#left.resolve(id, "settled")) this.#close(id);
  }

  leftBehind(part: string | undefined): ReadonlyArray<Unsettled> {
    return this.#left.read((name) =>
      name.endsWith(".log") && name.split(".")[1] !== this.#stamp &&
      (part === undefined || name.split(".")[0] === part)
    );
  }

  /** Files in which everything has ended go; a restart reads the others. */
  close(): void {
    for (const segment of this.#segments) {
      if (segment.open === 0) segment.drop();
      else segment.close();
    }
    this.#segments.length = 0;
  }

  #write(line: (run: number) => Line, content?: Uint8Array): Segment {
    let segment = this.#current;
    let bytes = encode(line(segment?.run ?? 0), content);
    if (!segment?.fits(bytes.length + slack)) {
      segment = this.#next(bytes.length + 2 * slack);
      bytes = encode(line(segment.run), content);
    }
    segment.write(bytes);
    return segment;
  }

  /** Notes it in the intent's own file where there is room: the two are overwritten together. */
  #mark(intent: Segment, how: Pick<Line, "cancelled" | "done">): Segment {
    const line = (run: number): Line => ({ run, at: Date.now(), n: ++this.#n, ...how });
    const bytes = encode(line(intent.run));
    if (!intent.fits(bytes.length)) return this.#write(line);
    intent.write(bytes);
    return intent;
  }

  /** An old file in which everything has ended, else a new one. */
  #next(bytes: number): Segment {
    const { dir, part, flush, segment: size = 1024 * 1024 } = this.options;
    const run = ++this.#runs;
    const free = this.#segments.find((s) =>
      s !== this.#current && !s.failed && s.open === 0 && s.size >= bytes
    );
    // One that is spoilt is kept only while a restart would need it.
    for (const old of this.#segments.filter((s) => s.failed && s.open === 0)) {
      this.#segments.splice(this.#segments.indexOf(old), 1);
      old.drop();
    }
    if (free) {
      free.reuse(run);
      return this.#current = free;
    }
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const path = `${dir}/${part}.${this.#stamp}.${run}.log`;
    const fresh = new Segment(path, Math.max(size, bytes), run, flush);
    this.#segments.push(fresh);
    return this.#current = fresh;
  }

  #close(id: string): void {
    const segment = this.#where.get(id);
    if (!segment) return;
    this.#where.delete(id);
    this.#whole.delete(id);
    segment.open--;
    // Load that needed so many files is over.
    const spare = this.#segments.length > kept && segment.open === 0 && segment !== this.#current;
    if (!spare) return;
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    segment.drop();
  }

  /** Waits for the flush that comes next, with whoever else does. */
  #flushed(
    segment: Segment,
    id: string,
    path: string | undefined,
  ): Effect.Effect<string, CatalogError> {
    return Effect.async<string, CatalogError>((resume) => {
      this.#waiting.push({
        segment,
        done: (failed) => {
          const failure = failed ?? (injected(path) ? unavailable(eio()) : undefined);
          if (failure) this.#spoil(id);
          resume(failure ? Effect.fail(failure) : Effect.succeed(id));
        },
      });
      if (!this.#flushing) void this.#flush();
      return Effect.sync(() => this.cancel(id));
    });
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      for (const segment of new Set(group.map((each) => each.segment))) {
        const failure = await dataSync(segment.fd);
        for (const each of group) if (each.segment === segment) each.done(failure);
      }
    }
    this.#flushing = false;
  }

  /** After a failed flush nobody knows what is on the disk: the log goes on in another file. */
  #spoil(id: string): void {
    const segment = this.#where.get(id);
    if (!segment) return;
    segment.failed = true;
    this.cancel(id);
  }
}

/** Whether the flush of an intent about this path is to fail: a failpoint. */
const injected = (path: string | undefined) => fault("intents.fsync", path) !== undefined;
const eio = () => Object.assign(new Error("injected"), { code: "EIO" });

const dataSync = (fd: number): Promise<CatalogError | undefined> =>
  new Promise((resolve) =>
    fs.fdatasync(fd, (cause) => resolve(cause ? unavailable(cause) : undefined))
  );

const unavailable = (cause: unknown) =>
  new CatalogError({
    reason: "Unavailable",
    op: "prepare",
    detail: "the intent log cannot be written",
    cause,
  });

/** The intent log of one part of the process. Closing the scope removes its files if nothing is open. */
export const fileIntentLog = (options: FileLogOptions): Layer.Layer<IntentLog> =>
  Layer.scoped(
    IntentLog,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new FileLog(options)),
        (log) => Effect.sync(() => log.close()),
      ),
      (log) =>
        IntentLog.of({
          keepsContent: options.flush,
          append: (entry) => log.append(entry),
          appendNow: (entry) => {
            try {
              return log.appendNow(entry);
            } catch (cause) {
              throw unavailable(cause);
            }
          },
          cancel: (id) => log.cancel(id),
          done: (id) => log.done(id),
          forget: (id) => log.forget(id),
          leftBehind: (part) => Effect.try({ try: () => log.leftBehind(part), catch: unavailable }),
        }),
    ),
  );
