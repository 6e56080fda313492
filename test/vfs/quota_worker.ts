/// <reference lib="deno.worker" />
import { Effect, Layer } from "effect";
import type { User } from "../../src/model/user.ts";
import { Accounts } from "../../src/vfs/account_book.ts";
import { Participant } from "../../src/participant.ts";
import { type Lease, Quota } from "../../src/vfs/quota.ts";
import { sharedQuota } from "../../src/vfs/quota_accounts.ts";
import type { Errand } from "./threads.ts";

/** Uploads of changing sizes: some committed, some given up, until none fits or the rounds are over. */
const upload = (quota: typeof Quota.Service, user: User, errand: Errand) =>
  Effect.gen(function* () {
    const seen = new Float64Array(errand.numbers);
    let committed = 0;
    for (let i = 0; i < errand.rounds; i++) {
      const taken = yield* Effect.option(quota.reserve(user, "/f", undefined));
      if (taken._tag === "None") continue;
      const lease: Lease = taken.value;
      let size = 0;
      for (let step = 0; step < 3; step++) {
        const more = 1 + Math.floor(Math.random() * 100);
        if (lease.grow(size + more)) size += more;
      }
      const { bytes } = yield* quota.usage(user);
      if (bytes > user.quota_size) seen[15] = bytes;
      if (errand.what === "fill" || i % 3 === 0) {
        lease.settle({ bytes: size, files: 1 });
        committed += size;
      } else lease.release();
    }
    // What is left goes byte by byte, so that the last one is taken as well.
    if (errand.what === "fill") {
      const lease = yield* quota.reserve(user, "/last", undefined).pipe(Effect.option);
      if (lease._tag === "Some") {
        let size = 0;
        while (lease.value.grow(size + 1)) size++;
        lease.value.settle({ bytes: size, files: 1 });
        committed += size;
      }
    }
    seen[errand.participant.index] = committed;
  });

self.onmessage = ({ data }: MessageEvent<Errand>) => {
  const memory = data.accounts as SharedArrayBuffer;
  const accounts = Layer.succeed(Accounts, {
    open: () => Effect.succeed({ memory, offset: 0 }),
    set: () => Effect.void,
    setCounted: () => Effect.succeed(true),
    setTransfer: () => Effect.void,
  });
  const layer = Layer.provide(
    sharedQuota,
    Layer.merge(accounts, Layer.succeed(Participant, data.participant)),
  );
  const user = data.user as User;
  const work = Effect.gen(function* () {
    const quota = yield* Quota;
    if (data.what === "hold") {
      const lease = yield* quota.reserve(user, "/f", undefined);
      lease.grow(1000);
      yield* quota.during(
        user,
        Effect.zipRight(Effect.sync(() => self.postMessage("held")), Effect.never),
      );
    }
    yield* upload(quota, user, data);
  });
  Effect.runPromise(Effect.provide(work, layer)).then(() => self.postMessage("done"));
};
