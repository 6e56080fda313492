import { Context, Data, type Effect } from "effect";

/** A file that the operator named cannot be used. */
export class KeyFileError extends Data.TaggedError("KeyFileError")<{
  readonly path: string;
  readonly what: string;
  readonly cause?: unknown;
}> {
  override get message(): string {
    return `${this.path}: ${this.what}`;
  }
}

/** Small text files that the operator keeps beside the configuration: authorities, revocations. */
export class KeyFiles extends Context.Tag("sluice/KeyFiles")<KeyFiles, {
  /**
   * The file's text as it is now; asks the disk only whether it changed.
   * Relative paths start at the data folder. At most 5 MB.
   */
  readonly read: (path: string) => Effect.Effect<string, KeyFileError>;
}>() {}
