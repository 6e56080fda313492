import { Effect, Either } from "effect";
import { filesLayer } from "../app.ts";
import { Users } from "../catalog/catalog.ts";
import type { Usage } from "../vfs/quota.ts";
import { recount } from "../vfs/recount.ts";
import type { Env } from "./command.ts";
import { tryServer } from "./control_client.ts";
import { prepareDataDir } from "./data_dir.ts";
import { notFound } from "./failure.ts";

/**
 * Recounts several users' files, each as {@linkcode scanUsage} does, and answers what
 * kept it from counting whom.
 */
export const scanMany = (env: Env, names: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.either(scanUsage(env, name))),
    (results) =>
      results.flatMap((result, i) =>
        Either.isRight(result) ? [] : [`quota-scan of ${names[i]}: ${wordsOf(result.left)}`]
      ),
  );

const wordsOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);

/** Recounts a user's files: by the running server, whose counters are live, else directly. */
export const scanUsage = (env: Env, name: string) =>
  Effect.gen(function* () {
    const { settings } = env;
    const path = `/v1/users/${encodeURIComponent(name)}/quota-scan`;
    const answer = yield* tryServer(settings.data_dir, "POST", path);
    if (answer !== undefined) return answer as Usage;
    yield* prepareDataDir(settings.data_dir);
    return yield* Effect.gen(function* () {
      const users = yield* Users;
      const user = (yield* users.effective(name)) ??
        (yield* notFound(`no user ${JSON.stringify(name)}`));
      return yield* recount(user);
    }).pipe(Effect.provide(filesLayer(settings)));
  });
