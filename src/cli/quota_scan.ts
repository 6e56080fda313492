import { type Command } from "commander";
import { Effect } from "effect";
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
    const { settings } = env;
    const path = `/v1/${noun}s/${encodeURIComponent(name)}/quota-scan`;
    const answer = yield* tryServer(settings.data_dir, "POST", path);
    if (answer !== undefined) return answer as Usage;
    yield* prepareDataDir(settings.data_dir);
    const none = notFound(`no ${noun} ${JSON.stringify(name)}`);
    return yield* Effect.gen(function* () {
      if (noun === "folder") {
        return yield* recountFolder((yield* (yield* Folders).find(name)) ?? (yield* none));
      }
      return yield* recount((yield* (yield* Users).effective(name)) ?? (yield* none));
    }).pipe(Effect.provide(filesLayer(settings)));
  });

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
