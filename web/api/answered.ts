import { Cause, Effect, type Scope } from "effect";
import type { Exchange } from "../../actors/exchange.ts";
import { type Failure, failureResponse, refuse } from "./failure.ts";

/** What a route does. */
export type Work = Effect.Effect<Response, Failure, Scope.Scope>;

/** Makes an answer of every failure; a defect is logged and is a 500 of the same shape. */
export const answered = (
  work: Work,
  { request, id }: Exchange,
): Effect.Effect<Response, never, Scope.Scope> =>
  work.pipe(
    Effect.tapError((failure) =>
      failure._tag === "CatalogError" || failure._tag === "KeyFileError" ||
        failure._tag === "FsError" &&
          (failure.reason === "Unavailable" || failure.reason === "Corrupt")
        ? Effect.logWarning("a request failed", failure)
        : Effect.void
    ),
    Effect.catchAll((failure) => Effect.succeed(failureResponse(failure, request, id))),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : Effect.as(
        Effect.logError("a request ended by a defect", cause),
        failureResponse(refuse(500, "the server failed"), request, id),
      )
    ),
  );
