import { Effect, Layer } from "effect";
import { FsError, type FsReason } from "../src/errors.ts";
import type { Attributes } from "../src/model/entry.ts";
import { Elsewhere, LiveUploads, type Sighting } from "../src/vfs/uploads.ts";
import { Branches } from "./branches.ts";
import { type Handlers, Hub } from "./rpc.ts";

interface Failure {
  readonly reason: FsReason;
  readonly op: string;
  readonly path: string;
  readonly detail?: string;
}

/** In a worker: asks the others, by the main thread. Who asks has looked at its own uploads before. */
export const remoteElsewhere: Layer.Layer<Elsewhere, never, Hub> = Layer.effect(
  Elsewhere,
  Effect.map(Hub, (hub) =>
    Elsewhere.of({
      latest: (identity, key) => hub.call("elsewhere.latest", identity, key),
      below: (identity, key) => hub.call("elsewhere.below", identity, key),
      setAttributes: (identity, key, attributes) =>
        hub.call<boolean, FsError>("elsewhere.setAttributes", identity, key, attributes),
    })),
);

/** In the main thread: hands a worker's question to all. */
export const elsewhereHandlers: Effect.Effect<Handlers, never, Branches> = Effect.map(
  Branches,
  ({ askAll }) => ({
    "elsewhere.latest": (identity: string, key: string) =>
      Effect.map(
        askAll<Sighting | undefined>("uploads.latest", identity, key),
        (seen) => seen.flatMap((one) => one ? [one] : []).sort((a, b) => b.started - a.started)[0],
      ),
    "elsewhere.below": (identity: string, key: string) =>
      Effect.map(
        askAll<boolean>("uploads.below", identity, key),
        (answers) => answers.includes(true),
      ),
    "elsewhere.setAttributes": (identity: string, key: string, attributes: Attributes) =>
      Effect.flatMap(
        askAll<boolean | Failure>("uploads.setAttributes", identity, key, attributes),
        (answers) => {
          const failed = answers.find((one) => typeof one === "object");
          return failed ? Effect.fail(new FsError(failed)) : Effect.succeed(answers.includes(true));
        },
      ),
  }),
);

/** In a worker: what it says of its uploads. */
export const uploadHandlers = (uploads: typeof LiveUploads.Service): Handlers => ({
  "uploads.latest": (identity: string, key: string) => {
    const upload = uploads.latest(identity, key);
    return Effect.succeed(upload && { started: upload.started, size: upload.size() });
  },
  "uploads.below": (identity: string, key: string) => Effect.succeed(uploads.below(identity, key)),
  // A failure is an answer: it must not look like a thread that went away.
  "uploads.setAttributes": (identity: string, key: string, attributes: Attributes) => {
    const upload = uploads.latest(identity, key);
    if (!upload) return Effect.succeed(false);
    const { size, ...rest } = attributes;
    return Effect.tryPromise({
      try: async () => {
        if (size !== undefined) await upload.truncate(size);
        upload.remember(rest);
        return true;
      },
      catch: (cause) => cause,
    }).pipe(Effect.catchAll((cause) => Effect.succeed(told(cause, key))));
  },
});

/** What of a failure may travel. */
const told = (cause: unknown, path: string): Failure => {
  if (!(cause instanceof FsError)) return { reason: "Unavailable", op: "setattr", path };
  const { reason, op, detail } = cause;
  return { reason, op, path: cause.path, ...(detail === undefined ? {} : { detail }) };
};
