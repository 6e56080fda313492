import { Effect, Either } from "effect";
import { filesLayer } from "../app.ts";
import { Users } from "../catalog/catalog.ts";
import type { Usage } from "../vfs/quota.ts";
import { recount } from "../vfs/recount.ts";
import type { Env } from "./command.ts";
import { tryServer } from "./control_client.ts";
import { prepareDataDir } from "./data_dir.ts";
import { notFound } from "./failure.ts";

/** Recounts a user's files: by the running server, whose counters are live, else directly. */
export const scanUsage = (env: Env, name: string) =>
  Effect.gen(function* () {
    const answer = yield* byServer(env, name);
    if (answer !== undefined) return answer as Usage;
    yield* prepareDataDir(env.settings.data_dir);
    return yield* Effect.provide(here(name), filesLayer(env.settings));
  });

/** The same for several users; answers what kept it from counting whom. */
export const scanMany = (env: Env, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const troubles: string[] = [];
    const note = <A, E, R>(name: string, scan: Effect.Effect<A, E, R>) =>
      Effect.map(Effect.either(scan), (result) => {
        if (Either.isRight(result)) return result.right;
        troubles.push(`quota-scan of ${name}: ${wordsOf(result.left)}`);
        return null;
      });
    const left: string[] = [];
    for (const name of names) {
      if ((yield* note(name, byServer(env, name))) === undefined) left.push(name);
    }
    // Without a server all share one open catalog.
    const local = Effect.forEach(left, (name) => note(name, here(name)), { discard: true });
    if (left.length > 0) yield* Effect.provide(local, filesLayer(env.settings));
    return troubles;
  });

const byServer = (env: Env, name: string) =>
  tryServer(env.settings.data_dir, "POST", `/v1/users/${encodeURIComponent(name)}/quota-scan`);

const here = (name: string) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const user = (yield* users.effective(name)) ??
      (yield* notFound(`no user ${JSON.stringify(name)}`));
    return yield* recount(user);
  });

const wordsOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);
