import { Effect, type Scope } from "effect";
import type { FsError } from "../errors.ts";
import { root } from "../vpath.ts";
import { promised } from "./promised.ts";
import type { NewResumable, Part, Resumable } from "./resumable.ts";
import type { ResumableDesk } from "./resumable_desk.ts";
import type { UploadRecord } from "./upload_records.ts";

/** So much is read off the event loop. */
const piece = 1024 * 1024;

/**
 * Makes a file of pieces that are whole: they are copied one after another into
 * an upload of their own, which is finished like any other; then they go.
 */
export const concatenate = (
  desk: ResumableDesk,
  wanted: Omit<NewResumable, "length">,
  ids: ReadonlyArray<string>,
): Effect.Effect<Resumable, FsError, Scope.Scope> =>
  Effect.gen(function* () {
    const { access } = desk;
    const path = wanted.path;
    const refuse = (detail: string) => access.fail("Conflict", "upload", path ?? root, detail);
    if (path === undefined || ids.length === 0) return yield* refuse("there is nothing to join");
    if (new Set(ids).size < ids.length) return yield* refuse("an upload is named twice");
    // In one order, so that two requests cannot wait for each other.
    const byId = new Map<string, UploadRecord>();
    for (const id of [...ids].sort()) byId.set(id, yield* desk.taken(id));
    const parts = ids.flatMap((id) => byId.get(id) ?? []);
    let length = 0;
    for (const record of parts) {
      if (record.kind !== "partial") return yield* refuse("only partial uploads can be joined");
      const { offset } = yield* desk.stand(record);
      if (offset < record.length) return yield* refuse("a partial upload is not whole yet");
      length += record.length;
    }
    const final = yield* desk.begin({ ...wanted, path, length }, "final", ids);
    const joined = yield* Effect.gen(function* () {
      const part = yield* desk.part(final, false);
      for (const record of parts) yield* append(desk, record, part);
      return yield* part.end();
    }).pipe(
      Effect.tapErrorCause(() => Effect.ignore(desk.drop(final))),
    );
    yield* Effect.forEach(parts, (record) => Effect.ignore(desk.drop(record)), { discard: true });
    return joined;
  });

const append = (
  desk: ResumableDesk,
  record: UploadRecord,
  to: Part,
): Effect.Effect<void, FsError> =>
  Effect.scoped(Effect.gen(function* () {
    const reader = yield* (yield* desk.keeping(record)).reader(record.id);
    const buffer = new Uint8Array(piece);
    yield* promisedLoop(async (signal) => {
      for (let at = 0; at < record.length;) {
        signal.throwIfAborted();
        const n = await reader.readAt(at, buffer);
        if (n === 0) break;
        await to.write(buffer.subarray(0, n));
        at += n;
      }
    }, record);
  }));

/** An interruption ends the loop at its next turn; the upload's own end waits for the write under way. */
const promisedLoop = (
  body: (signal: AbortSignal) => Promise<void>,
  { path }: UploadRecord,
): Effect.Effect<void, FsError> =>
  Effect.suspend(() => {
    const end = new AbortController();
    return Effect.onInterrupt(
      promised(() => body(end.signal), "upload", path),
      () => Effect.sync(() => end.abort()),
    );
  });
