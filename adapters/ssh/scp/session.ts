import { Effect, ExecutionStrategy, Scope } from "effect";
import type { ActorBusy, FsError } from "../../../src/errors.ts";
import type { Handle, OpenOptions, Vfs } from "../../../src/vfs/vfs.ts";
import { printable, type VPath } from "../../../src/vpath.ts";
import { failureText } from "../commands/failure_text.ts";
import type { EngineContext } from "../engine.ts";
import type { ScpOptions } from "./options.ts";
import type { Wire } from "./wire.ts";

/** Deepest nesting of directories in one transfer. */
export const maxDepth = 1000;

/** Failure of one file or directory; the transfer goes on with the next. */
export type Refusal = FsError | ActorBusy;

/** What both roles of one transfer work with. */
export interface Transfer {
  readonly wire: Wire;
  readonly vfs: Vfs;
  readonly options: ScpOptions;
  /** Runs one operation through the session actor. */
  readonly control: <A>(operation: Effect.Effect<A, FsError>) => Effect.Effect<A, Refusal>;
  /** Tells the client about one failed file; the exit status will be 1. */
  readonly refuse: (subject: string, error: Refusal | string) => ReturnType<Wire["warn"]>;
  /** Counts a failure that the client knows of: the exit status will be 1. */
  readonly note: () => void;
  readonly failed: () => boolean;
}

export const makeTransfer = (
  wire: Wire,
  context: EngineContext,
  options: ScpOptions,
): Transfer => {
  let failures = 0;
  const note = () => void (failures += 1);
  return {
    wire,
    vfs: context.vfs,
    options,
    control: (operation) => Effect.flatten(Effect.promise(() => context.control(operation))),
    refuse: (subject, error) =>
      Effect.suspend(() => {
        note();
        const text = typeof error === "string" ? error : failureText(error);
        return wire.warn(`${printable(subject)}: ${text}`);
      }),
    note,
    failed: () => failures > 0,
  };
};

/**
 * Opens a file for the time of `use`. Only `use` may close it for good; the
 * end of the scope aborts an upload that was not closed.
 */
export const withHandle = <A, E>(
  transfer: Transfer,
  path: VPath,
  options: OpenOptions,
  use: (handle: Handle) => Effect.Effect<A, E>,
): Effect.Effect<A, E | Refusal, Scope.Scope> =>
  Effect.acquireUseRelease(
    Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent, ExecutionStrategy.sequential)),
    (scope) =>
      transfer.control(Scope.extend(transfer.vfs.open(path, options), scope)).pipe(
        Effect.flatMap(use),
      ),
    (scope, exit) => Scope.close(scope, exit),
  );
