import { Cause, Context, Data, Effect, Exit, Fiber, FiberSet, type Scope } from "effect";
import { ActorBusy, AuthError, CatalogError, ConfigError, FsError } from "../src/errors.ts";
import { Refused } from "./registry.ts";

/** What carries the messages: a `Worker`, a worker's own `self`, or a `MessagePort` (once started). */
export interface Port {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/**
 * What this side does for the other, by `area.verb`. A handler that answers with
 * `Effect.succeed(...)` costs no fiber. Arguments and results are structured clones:
 * plain data, buffers, shared buffers.
 */
export type Handlers = Readonly<
  Record<string, (...args: ReadonlyArray<never>) => Effect.Effect<unknown, unknown>>
>;

/** The other side went away before it answered. Whether it acted is not known. */
export class PeerGone extends Data.TaggedError("PeerGone")<{ readonly method: string }> {
  override get message(): string {
    return `${this.method}: the other thread has gone`;
  }
}

/** The other side of a port. */
export interface Peer {
  /**
   * Runs `method` over there. Its typed failures come back as their classes, its
   * defects as a defect with the text, and interruption interrupts it (without
   * waiting for it). When the other side goes away this is interrupted.
   */
  readonly call: <A, E = never>(
    method: string,
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<A, E>;
  /** The same for whoever outlives the other side: fails with PeerGone then. */
  readonly ask: <A, E = never>(
    method: string,
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<A, E | PeerGone>;
  /** Runs `method` and learns nothing of the outcome. Arrives in order with `call`. */
  readonly send: (method: string, ...args: ReadonlyArray<unknown>) => void;
}

/** In a worker: the main thread, which owns the catalog, the counts and the record. */
export class Hub extends Context.Tag("sluice/Hub")<Hub, Peer>() {}

/** Calls without an answer at a time; further callers wait for their turn. */
const MOST_PENDING = 4096;

type Message =
  | readonly ["call", id: number, method: string, args: ReadonlyArray<unknown>]
  | readonly ["send", method: string, args: ReadonlyArray<unknown>]
  | readonly ["cancel", id: number]
  | readonly ["done", id: number, value: unknown]
  | readonly ["failed", id: number, failure: unknown]
  | readonly ["died", id: number, text: string]
  | readonly ["interrupted", id: number];

type Resume = (effect: Effect.Effect<unknown, unknown>) => void;

/**
 * Speaks over `port` until the scope closes: answers what the other side asks
 * and asks in turn. Closing ends the handlers under way and fails the calls
 * without an answer.
 */
export const openPeer = (
  port: Port,
  handlers: Handlers,
): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<never, unknown, unknown>();
    const pending = new Map<number, { readonly method: string; readonly resume: Resume }>();
    const serving = new Map<number, Fiber.RuntimeFiber<unknown, unknown>>();
    const turn: Array<() => void> = [];
    let open = true;
    let lastId = 0;

    // What is said in one turn of the event loop travels as one message.
    let outbox: Message[] = [];
    const flush = () => {
      const messages = outbox;
      outbox = [];
      if (!open || messages.length === 0) return;
      try {
        port.postMessage(messages);
      } catch {
        messages.forEach(postAlone);
      }
    };
    /** One that cannot be cloned must not take the others with it. */
    const postAlone = (message: Message) => {
      try {
        port.postMessage([message]);
      } catch (error) {
        const [kind, id] = message;
        const text = `not a message: ${error}`;
        if (kind === "call") settle(id, Effect.die(new Error(text)));
        else if (kind === "done" || kind === "failed") post(["died", id, text]);
      }
    };
    const post = (message: Message) => {
      if (outbox.push(message) === 1) queueMicrotask(flush);
    };

    const settle = (id: number, effect: Effect.Effect<unknown, unknown>) => {
      const waiting = pending.get(id);
      pending.delete(id);
      waiting?.resume(effect);
      if (pending.size < MOST_PENDING) turn.shift()?.();
    };
    const run = (method: string, args: ReadonlyArray<unknown>) => {
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (!handler) return Effect.die(new Error(`nothing answers ${method}`));
      try {
        return handler(...args as ReadonlyArray<never>);
      } catch (error) {
        return Effect.die(error);
      }
    };
    const serve = (id: number, method: string, args: ReadonlyArray<unknown>) => {
      const effect = run(method, args);
      if (Exit.isExit(effect)) return post(answer(id, effect));
      const fiber = fork(effect);
      serving.set(id, fiber);
      fiber.addObserver((exit) => {
        serving.delete(id);
        post(answer(id, exit));
      });
    };
    const receive = (message: Message) => {
      switch (message[0]) {
        case "call":
          return serve(message[1], message[2], message[3]);
        case "send": {
          const effect = run(message[1], message[2]);
          if (!Exit.isExit(effect) || Exit.isFailure(effect)) fork(told(message[1], effect));
          return;
        }
        case "cancel": {
          const fiber = serving.get(message[1]);
          if (fiber) fork(Fiber.interruptFork(fiber));
          return;
        }
        case "done":
          return settle(message[1], Effect.succeed(message[2]));
        case "failed":
          return settle(message[1], Effect.fail(revive(message[2])));
        case "died":
          return settle(message[1], Effect.die(new Error(message[2])));
        case "interrupted":
          return settle(message[1], Effect.interrupt);
      }
    };
    const listener = (event: MessageEvent) => {
      for (const message of event.data as ReadonlyArray<Message>) if (open) receive(message);
    };
    yield* Effect.acquireRelease(
      Effect.sync(() => port.addEventListener("message", listener)),
      () =>
        Effect.sync(() => {
          flush();
          open = false;
          port.removeEventListener("message", listener);
          for (const [id, { method }] of [...pending]) {
            settle(id, Effect.fail(new PeerGone({ method })));
          }
          for (const go of turn.splice(0)) go();
        }),
    );

    const ask = <A, E>(method: string, ...args: ReadonlyArray<unknown>) =>
      Effect.async<A, E | PeerGone>((resume) => {
        let id = 0;
        const go = () => {
          if (!open) return resume(Effect.fail(new PeerGone({ method })));
          id = ++lastId;
          pending.set(id, { method, resume: resume as Resume });
          post(["call", id, method, args]);
        };
        if (pending.size < MOST_PENDING) go();
        else turn.push(go);
        return Effect.sync(() => {
          if (id === 0) {
            turn.splice(turn.indexOf(go) >>> 0, 1);
          } else if (pending.has(id)) {
            settle(id, Effect.void);
            post(["cancel", id]);
          }
        });
      });
    return {
      ask,
      call: <A, E>(method: string, ...args: ReadonlyArray<unknown>) =>
        Effect.catchIf(
          ask<A, E>(method, ...args),
          (error): error is PeerGone => error instanceof PeerGone,
          () => Effect.interrupt,
        ) as Effect.Effect<A, E>,
      send: (method, ...args) => post(["send", method, args]),
    };
  });

const told = (method: string, effect: Effect.Effect<unknown, unknown>) =>
  Effect.catchAllCause(
    effect,
    (cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.void
        : Effect.logError({ event: "message_failed", method }, cause),
  );

const answer = (id: number, exit: Exit.Exit<unknown, unknown>): Message => {
  if (Exit.isSuccess(exit)) return ["done", id, exit.value];
  const failure = Cause.failureOption(exit.cause);
  if (failure._tag === "Some") return ["failed", id, plain(failure.value)];
  if (Cause.isInterruptedOnly(exit.cause)) return ["interrupted", id];
  return ["died", id, Cause.pretty(exit.cause)];
};

/** An error's fields without its class. What caused it is for logs: its text will do. */
const plain = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error;
  const { cause, ...fields }: { cause?: unknown } = error;
  return {
    _tag: error.name,
    ...fields,
    message: error.message,
    ...(cause === undefined ? {} : { cause: String(cause) }),
  };
};

/** Errors that come back as what they were. */
const classes = new Map<string, new (fields: never) => unknown>(
  [ActorBusy, AuthError, CatalogError, ConfigError, FsError, Refused, PeerGone].map((error) => [
    new (error as new (fields: object) => { readonly _tag: string })({ problems: [] })._tag,
    error,
  ]),
);

const revive = (failure: unknown): unknown => {
  if (typeof failure !== "object" || failure === null || !("_tag" in failure)) return failure;
  const { _tag, message: _, ...fields } = failure as Record<string, unknown>;
  const known = classes.get(String(_tag));
  return known ? new known(fields as never) : failure;
};
