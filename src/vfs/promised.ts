import { Effect } from "effect";
import { FsError } from "../errors.ts";

/** Brings a storage's promise, which rejects with FsError, into Effect. */
export const promised = <A>(
  step: () => Promise<A>,
  op: string,
  path: string,
): Effect.Effect<A, FsError> =>
  Effect.tryPromise({
    try: step,
    catch: (cause) =>
      cause instanceof FsError ? cause : new FsError({ reason: "Unavailable", op, path, cause }),
  });
