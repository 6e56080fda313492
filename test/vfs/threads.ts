import { Effect, type Scope } from "effect";
import type { User } from "../../src/model/user.ts";
import { admit, type Participant, type SharedMemory, shareMemory } from "../../src/participant.ts";

/** What a test tells the worker modules beside this file. */
export interface Errand {
  readonly participant: typeof Participant.Service;
  /** Memory that the test looks at. */
  readonly numbers: SharedArrayBuffer;
  readonly accounts?: SharedArrayBuffer;
  readonly user?: User;
  readonly rounds: number;
  readonly what: string;
}

export interface Thread {
  readonly participant: typeof Participant.Service;
  /** The next message of the worker. */
  readonly said: () => Effect.Effect<string>;
  readonly tell: (text: string) => void;
  readonly kill: () => void;
}

export const memoryFor = (threads: number): SharedMemory => shareMemory(threads + 1);

/** Starts the worker module `name` of this folder as participant `index`. */
export const startThread = (
  name: string,
  memory: SharedMemory,
  index: number,
  errand: Omit<Errand, "participant">,
): Effect.Effect<Thread, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL(name, import.meta.url), { type: "module" })),
      (worker) => Effect.sync(() => worker.terminate()),
    ),
    (worker) => {
      const heard: string[] = [];
      const waiting: Array<(text: string) => void> = [];
      worker.addEventListener("message", ({ data }) => {
        const next = waiting.shift();
        if (next) next(String(data));
        else heard.push(String(data));
      });
      const participant = admit(memory, index);
      worker.postMessage({ ...errand, participant } satisfies Errand);
      return {
        participant,
        said: () =>
          Effect.async<string>((resume) => {
            const text = heard.shift();
            if (text !== undefined) resume(Effect.succeed(text));
            else waiting.push((said) => resume(Effect.succeed(said)));
          }),
        tell: (text) => worker.postMessage(text),
        kill: () => worker.terminate(),
      };
    },
  );
