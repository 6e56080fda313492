import { type Command } from "commander";
import { Effect, Either } from "effect";
import { filesLayer } from "../app.ts";
import { Folders, Users } from "../catalog/catalog.ts";
import type { Usage } from "../vfs/quota.ts";
import { recount, recountFolder } from "../vfs/recount.ts";
import { type Env, run } from "./command.ts";
import { tryServer } from "./control_client.ts";
import { prepareDataDir } from "./data_dir.ts";
import { notFound } from "./failure.ts";
import { size } from "./output.ts";

/**
 * Recounts the files of a user or a folder: by the running server, whose counters
 * are live, else directly.
 */
export const scanUsage = (env: Env, noun: "user" | "folder", name: string) =>
  Effect.gen(function* () {
    const answer = yield* byServer(env, noun, name);
    if (answer !== undefined) return answer as Usage;
    yield* prepareDataDir(env.settings.data_dir);
    return yield* Effect.provide(here(noun, name), filesLayer(env.settings));
  });

/** The same for several; answers what kept it from counting which. */
export const scanMany = (env: Env, noun: "user" | "folder", names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const troubles: string[] = [];
    const note = <A, E, R>(name: string, scan: Effect.Effect<A, E, R>) =>
      Effect.map(Effect.either(scan), (result) => {
        if (Either.isRight(result)) return result.right;
        troubles.push(`quota-scan of ${noun} ${name}: ${wordsOf(result.left)}`);
        return null;
      });
    const left: string[] = [];
    for (const name of names) {
      if ((yield* note(name, byServer(env, noun, name))) === undefined) left.push(name);
    }
    // Without a server all share one open catalog.
    const local = Effect.forEach(left, (name) => note(name, here(noun, name)), { discard: true });
    if (left.length > 0) yield* Effect.provide(local, filesLayer(env.settings));
    return troubles;
  });

const byServer = (env: Env, noun: string, name: string) =>
  tryServer(
    env.settings.data_dir,
    "POST",
    `/v1/${noun}s/${encodeURIComponent(name)}/quota-scan`,
  );

const here = (noun: "user" | "folder", name: string) =>
  Effect.gen(function* () {
    const none = notFound(`no ${noun} ${JSON.stringify(name)}`);
    if (noun === "folder") {
      return yield* recountFolder((yield* (yield* Folders).find(name)) ?? (yield* none));
    }
    return yield* recount((yield* (yield* Users).effective(name)) ?? (yield* none));
  });

const wordsOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);

/** Adds `NOUN quota-scan NAME`. */
export const quotaScanCommand = (parent: Command, noun: "user" | "folder"): void => {
  parent.command("quota-scan <name>").description(`count a ${noun}'s files and set the usage`)
    .addHelpText("after", `\nExample:\n  sluice ${noun} quota-scan NAME`)
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        Effect.gen(function* () {
          const usage = yield* scanUsage(env, noun, name);
          yield* env.show(
            { [noun === "user" ? "username" : "name"]: name, ...usage },
            () => `${name} holds ${size(usage.bytes)} in ${usage.files} files`,
          );
        }))
    );
};
