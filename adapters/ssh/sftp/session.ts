import { Cause, Effect, Exit, type Scope } from "effect";
import { ActorBusy, FsError } from "../../../src/errors.ts";
import type { VPath } from "../../../src/vpath.ts";
import type { ByteChannel } from "../byte_channel.ts";
import type { EngineContext } from "../engine.ts";
import type { Body } from "./body.ts";
import { Budget } from "./budget.ts";
import { statusPacket } from "./encoder.ts";
import { Handles, type OpenDirectory, type OpenFile } from "./handles.ts";
import { Output } from "./output.ts";
import { code, limits, type StatusCode } from "./protocol.ts";
import { internalError, statusOf, statusOfCause } from "./status.ts";

/** Effect of a control request: answers the whole reply packet. */
export type Control = Effect.Effect<Uint8Array, FsError>;

/** Runs an effect outside the session's mailbox, interrupted with the channel. */
export type Run = (effect: Control) => Promise<Uint8Array>;

interface Queued {
  readonly id: number;
  readonly cost: number;
  readonly operation: Control;
  readonly file: OpenFile | undefined;
  readonly turn: Promise<void> | undefined;
}

/**
 * State of one SFTP channel, and the ways to answer a request.
 *
 * Every request is answered exactly once: by `ok`, `reply`, `status`, or by
 * what `control` and `apart` run for it.
 */
export class Session {
  readonly handles: Handles;
  readonly budget = new Budget();
  readonly output: Output;
  /** Size of the packet being dispatched: what its answer gives back to the budget. */
  cost = 0;
  ended = false;
  #queue: Queued[] = [];
  #running = false;
  #quiet: Array<() => void> = [];
  #failed: ((cause: unknown) => void) | undefined;

  constructor(
    channel: ByteChannel,
    readonly context: EngineContext,
    readonly scope: Scope.Scope,
    private readonly run: Run,
  ) {
    this.handles = new Handles(context.settings.max_handles);
    this.output = new Output(channel, this.budget, () => this.end());
  }

  /** Whether a control request may be done where it arrives: none is under way, and its answer has room. */
  get free(): boolean {
    return !this.#running && !this.ended && !this.output.backedUp;
  }

  get vfs(): EngineContext["vfs"] {
    return this.context.vfs;
  }

  /** Answers OK. */
  ok(id: number, cost: number): void {
    if (this.ended) return;
    this.output.ok(id);
    this.#answered(cost);
  }

  /** Answers with a whole packet; `borrowed` is given back when it is sent. */
  reply(bytes: Uint8Array, cost: number, borrowed?: Uint8Array): void {
    if (this.ended) return;
    this.output.send(bytes, borrowed);
    this.#answered(cost);
  }

  status(id: number, status: StatusCode, message: string, cost = this.cost): void {
    this.reply(statusPacket(id, status, message), cost);
  }

  /** Answers what a promise of the hot path was rejected with. A defect ends the session. */
  failed(id: number, error: unknown, cost: number): void {
    if (error instanceof FsError) {
      const { code: status, message } = statusOf(error);
      return this.status(id, status, message, cost);
    }
    this.status(id, internalError.code, internalError.message, cost);
    this.#failed?.(error);
  }

  /** Answers a request whose fields cannot be used; false if they can. */
  refused(id: number, body: Body): boolean {
    if (body.malformed) this.status(id, code.badMessage, "Malformed request");
    else if (body.badName) this.status(id, code.failure, "The name is not valid UTF-8");
    else if (body.tooLarge) this.status(id, code.failure, "The offset or size is too large");
    else return false;
    return true;
  }

  /** The file or directory of a handle field, else answers why not. */
  file(id: number, handle: Uint8Array): OpenFile | undefined {
    const opened = this.handles.get(handle);
    if (opened?.kind === "file") return opened;
    this.status(id, code.failure, opened ? "The handle is of a directory" : "No such handle");
    return undefined;
  }

  directory(id: number, handle: Uint8Array): OpenDirectory | undefined {
    const opened = this.handles.get(handle);
    if (opened?.kind === "directory") return opened;
    this.status(id, code.failure, opened ? "The handle is of a file" : "No such handle");
    return undefined;
  }

  /**
   * Runs a control request through the session actor, in the order of arrival.
   *
   * With `file` it first waits, outside the actor's mailbox, until what was
   * asked of that file before is done, and holds back what comes after.
   */
  control(id: number, operation: Control, file?: OpenFile): void {
    this.#queue.push({ id, cost: this.cost, operation, file, turn: file?.turns.alone() });
    if (this.#running) return;
    this.#running = true;
    this.#pump();
  }

  /**
   * Runs a long request beside the others; `done` runs at its end, however it
   * comes. Each counts as a piece of file data, which bounds how many run.
   */
  apart(id: number, operation: Control, done?: () => void): void {
    const cost = this.cost;
    this.budget.reserve(limits.piece);
    this.run(Effect.catchAll(operation, (error) => {
      const { code: status, message } = statusOf(error);
      return Effect.succeed(statusPacket(id, status, message));
    })).then(
      (bytes) => this.reply(bytes, cost),
      (error) => this.ended || this.failed(id, error, cost),
    ).finally(() => {
      this.budget.release(limits.piece);
      done?.();
    });
  }

  /** Parses a path of the client. */
  path(raw: string): Effect.Effect<VPath, FsError> {
    return this.vfs.resolve(raw);
  }

  /** Resolves when every request is answered and sent. */
  async quiet(): Promise<void> {
    if (this.budget.requests > 0 && !this.ended) {
      await new Promise<void>((resolve) => this.#quiet.push(resolve));
    }
    await this.output.drained();
  }

  /** Registers who learns of a defect in the hot path. */
  onDefect(failed: (cause: unknown) => void): void {
    this.#failed = failed;
  }

  /** Nothing is answered any more, and nothing that waits will start. Idempotent. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#queue = [];
    for (const opened of this.handles.all()) if (opened.kind === "file") opened.turns.stop();
    this.output.stop();
    this.budget.lift();
    this.#settle();
  }

  /** Ends, and lets go of every file that is open. */
  leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.end();
      const files = [...this.handles.all()].filter((opened) => opened.kind === "file");
      return Effect.forEach(files, ({ leave }) => leave, { discard: true });
    });
  }

  #answered(cost: number): void {
    this.budget.end(cost);
    if (this.budget.requests === 0) this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#quiet.splice(0)) resolve();
  }

  async #pump(): Promise<void> {
    for (let next = this.#queue.shift(); next && !this.ended; next = this.#queue.shift()) {
      if (next.turn) await next.turn;
      if (this.output.backedUp) await this.output.eased();
      if (this.ended) break;
      const exit = await this.context.control(next.operation);
      next.file?.turns.leaveAlone();
      this.#finish(next, exit);
    }
    this.#running = false;
  }

  #finish({ id, cost }: Queued, exit: Exit.Exit<Uint8Array, FsError | ActorBusy>): void {
    if (Exit.isSuccess(exit)) return this.reply(exit.value, cost);
    // The session is being closed: whatever is said now is not heard.
    if (Cause.isInterruptedOnly(exit.cause)) return this.#answered(cost);
    const { code: status, message } = statusOfCause(exit.cause);
    this.status(id, status, message, cost);
  }
}
