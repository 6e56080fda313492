import { Effect, type Scope, Stream } from "effect";
import type { Event } from "../src/events/event.ts";
import { Journal } from "../src/events/journal.ts";

/** What the journal recorded since this process began. Plain numbers, read as they are. */
export interface Counts {
  loginsOk: number;
  loginsFailed: number;
  uploads: number;
  downloads: number;
  uploadBytes: number;
  downloadBytes: number;
  transferFailures: number;
}

const note = (counts: Counts, event: Event): void => {
  const bytes = event.file_size ?? 0;
  switch (event.action) {
    case "login.succeeded":
      counts.loginsOk += 1;
      break;
    case "login.failed":
      counts.loginsFailed += 1;
      break;
    case "upload":
    case "download":
      if (event.status !== 1) counts.transferFailures += 1;
      else if (event.action === "upload") [counts.uploads += 1, counts.uploadBytes += bytes];
      else [counts.downloads += 1, counts.downloadBytes += bytes];
      break;
  }
};

/** Follows the journal from now on: counts committed facts, and needs nothing of the hot path. */
export const countEvents: Effect.Effect<Counts, never, Journal | Scope.Scope> = Effect.gen(
  function* () {
    const journal = yield* Journal;
    const counts: Counts = {
      loginsOk: 0,
      loginsFailed: 0,
      uploads: 0,
      downloads: 0,
      uploadBytes: 0,
      downloadBytes: 0,
      transferFailures: 0,
    };
    yield* Effect.gen(function* () {
      const last = yield* Stream.runHead(journal.query({ descending: true, limit: 1 }));
      const after = last._tag === "Some" ? last.value.id : 0;
      yield* Stream.runForEach(
        journal.follow({ after, kinds: ["login", "fs"] }),
        (event) => Effect.sync(() => note(counts, event)),
      );
    }).pipe(
      Effect.catchAll((error) => Effect.logWarning("metrics stopped counting", error)),
      Effect.forkScoped,
    );
    return counts;
  },
);
