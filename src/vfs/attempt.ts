import { Effect } from "effect";
import { FsError } from "../errors.ts";

/** Brings a step that throws FsError into Effect. What else it throws is a defect, and stays one. */
export const attempt = <A>(step: () => A): Effect.Effect<A, FsError> =>
  Effect.try({
    try: step,
    catch: (error) => {
      if (error instanceof FsError) return error;
      throw error;
    },
  });
