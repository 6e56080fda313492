/**
 * Worker threads that load while the command line does. It imports nothing, and
 * so runs before all else when it is imported first.
 */

/** Global options that take a value, which may look like a command. */
const withValue = new Set(["--data-dir", "--config"]);

/** How many threads the arguments look like asking for, before anybody understands them. */
export const guessThreads = (
  args: ReadonlyArray<string>,
  variable: string | undefined,
  cores: number,
): number => {
  const command = args.find((arg, i) => !arg.startsWith("-") && !withValue.has(args[i - 1] ?? ""));
  if (command !== "serve") return 0;
  const at = args.findLastIndex((arg) => /^--workers(=|$)/.test(arg));
  const flag = at < 0 ? undefined : args[at]?.split("=")[1] ?? args[at + 1];
  const count = Number(flag ?? variable ?? 0) || cores;
  return Number.isSafeInteger(count) && count > 1 ? count : 0;
};

interface Early {
  readonly worker: Worker;
  /** Stops keeping what the thread says, and answers it. */
  readonly said: () => ReadonlyArray<MessageEvent | ErrorEvent>;
}

const early: Early[] = [];
let started = 0;

const start = (): Worker =>
  new Worker(new URL("./worker.ts", import.meta.url).href, {
    type: "module",
    name: `thread ${started++}`,
  });

const startEarly = (): Early => {
  const worker = start();
  const said: Array<MessageEvent | ErrorEvent> = [];
  const keep = (event: MessageEvent | ErrorEvent) => {
    event.preventDefault();
    said.push(event);
  };
  worker.addEventListener("message", keep);
  worker.addEventListener("error", keep);
  return {
    worker,
    said: () => {
      worker.removeEventListener("message", keep);
      worker.removeEventListener("error", keep);
      return said;
    },
  };
};

/** A thread that runs `worker.ts`. What it said already is heard by who listens before the next task. */
export const takeThread = (): Worker => {
  const next = early.shift();
  if (!next) return start();
  setTimeout(() => {
    for (const event of next.said()) {
      next.worker.dispatchEvent(
        event instanceof ErrorEvent
          ? new ErrorEvent("error", { message: event.message, cancelable: true })
          : new MessageEvent("message", { data: event.data }),
      );
    }
  });
  return next.worker;
};

/** Ends those that nobody took: the settings ask for fewer than it looked like. */
export const endSpareThreads = (): void => {
  for (const { worker } of early.splice(0)) worker.terminate();
};

/** Starts the first threads of `serve`, for `takeThread` to hand out. */
export const startEarlyThreads = (): void => {
  const cores = navigator.hardwareConcurrency;
  const count = guessThreads(Deno.args, Deno.env.get("SLUICE_WORKERS"), cores);
  while (early.length < Math.min(count, cores)) early.push(startEarly());
};
