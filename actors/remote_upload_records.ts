import { Effect, Layer, type Scope } from "effect";
import { lifetimeOf } from "../src/catalog/uploads.ts";
import { Config } from "../src/config/config.ts";
import { UploadRecords } from "../src/vfs/upload_records.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What one worker asks of unfinished uploads. Closing the scope gives up all that it was at work on. */
export const uploadRecordHandlers: Effect.Effect<Handlers, never, UploadRecords | Scope.Scope> =
  Effect.gen(function* () {
    const records = yield* UploadRecords;
    const tickets = yield* Effect.acquireRelease(
      Effect.sync(() => new Set<string>()),
      (left) => Effect.forEach([...left], records.release, { discard: true }),
    );
    return {
      "uploads.add": records.add,
      "uploads.find": records.find,
      "uploads.setFinishing": records.setFinishing,
      "uploads.remove": records.remove,
      "uploads.take": (id: string, ticket: string, how: "newest" | "idle") =>
        Effect.suspend(() => {
          tickets.add(ticket);
          return records.take(id, ticket, how);
        }),
      "uploads.wanted": records.wanted,
      "uploads.release": (ticket: string) =>
        Effect.suspend(() => {
          tickets.delete(ticket);
          return records.release(ticket);
        }),
    };
  });

/** In a worker: the unfinished uploads of the main thread. */
export const remoteUploadRecords: Layer.Layer<UploadRecords, never, Hub | Config> = Layer.effect(
  UploadRecords,
  Effect.gen(function* () {
    const hub = yield* Hub;
    return UploadRecords.of({
      lifetime: lifetimeOf(yield* Config),
      add: (...args) => hub.call("uploads.add", ...args),
      find: (id) => hub.call("uploads.find", id),
      setFinishing: (...args) => hub.call("uploads.setFinishing", ...args),
      remove: (ids) => hub.call("uploads.remove", ids),
      stale: () => Effect.dieMessage("stale uploads are the main thread's"),
      take: (...args) => hub.call("uploads.take", ...args),
      wanted: (ticket) => hub.call("uploads.wanted", ticket),
      release: (ticket) => Effect.sync(() => hub.send("uploads.release", ticket)),
    });
  }),
);
