import { Effect } from "effect";
import { Refusal } from "./failure.ts";

/** Makes sure that the data folder exists, is private and can be written. */
export const prepareDataDir = (dir: string): Effect.Effect<void, Refusal> =>
  Effect.tryPromise({
    try: async () => {
      await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
      const probe = await Deno.makeTempFile({ dir, prefix: ".sluice-probe-" });
      await Deno.remove(probe);
    },
    catch: (cause) =>
      new Refusal({
        exit: 1,
        message: `data folder ${dir}: ${why(cause)}; ` +
          "create it, make it writable for this user, or choose another with --data-dir",
      }),
  });

const why = (cause: unknown): string =>
  cause instanceof Deno.errors.PermissionDenied || cause instanceof Deno.errors.NotCapable
    ? "cannot be written"
    : cause instanceof Deno.errors.NotADirectory || cause instanceof Deno.errors.AlreadyExists
    ? "is not a folder"
    : cause instanceof Error
    ? cause.message
    : String(cause);

const lockFile = (dir: string) => `${dir}/sluice.lock`;

/**
 * Holds the data folder for this process until the scope closes, so that two
 * servers never share one embedded database. Refuses with the holder's pid.
 * The lock is the kernel's: it goes with the process, however that ends.
 */
export const lockDataDir = (dir: string, purpose: string) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const file = yield* Effect.tryPromise({
        try: () => Deno.open(lockFile(dir), { read: true, write: true, create: true, mode: 0o600 }),
        catch: (cause) => new Refusal({ exit: 1, message: `${lockFile(dir)}: ${why(cause)}` }),
      });
      if (!(yield* Effect.promise(() => file.tryLock(true)))) {
        file.close();
        const holder = yield* lockHolder(dir);
        return yield* new Refusal({
          exit: 1,
          message: `data folder ${dir} is in use by a running server (pid ${holder}); ` +
            `stop it before ${purpose}, or choose another folder with --data-dir`,
        });
      }
      yield* Effect.promise(async () => {
        await file.truncate(0);
        await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
      });
      return file;
    }),
    (file) => Effect.sync(() => file.close()),
  );

const lockHolder = (dir: string) =>
  Effect.promise(() => Deno.readTextFile(lockFile(dir)).catch(() => "")).pipe(
    Effect.map((text) => text.trim() || "unknown"),
  );
