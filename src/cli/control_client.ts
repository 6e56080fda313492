import { Effect } from "effect";
import { failed, notFound, type Refusal } from "./failure.ts";

export const controlSocket = (dataDir: string) => `${dataDir}/control.sock`;

/** One request over the control socket. Undefined when no server runs on this data folder. */
const request = (
  dataDir: string,
  method: string,
  path: string,
  body?: unknown,
): Effect.Effect<unknown, Refusal> =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      Deno.createHttpClient({ proxy: { transport: "unix", path: controlSocket(dataDir) } })
    ),
    (client) =>
      Effect.gen(function* () {
        const response = yield* Effect.promise((signal) =>
          fetch(`http://sluice${path}`, {
            method,
            client,
            signal,
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          }).catch(() => undefined)
        );
        if (!response) return undefined;
        const answer: unknown = yield* Effect.tryPromise({
          try: () => response.json(),
          catch: () => failed("the running server gave no readable answer"),
        });
        if (response.ok) return answer;
        const message = typeof answer === "object" && answer !== null && "error" in answer
          ? String(answer.error)
          : `the running server answered ${response.status}`;
        return yield* response.status === 404 ? notFound(message) : failed(message);
      }),
    (client) => Effect.sync(() => client.close()),
  );

/** Asks the running server; fails when there is none. */
export const askServer = (dataDir: string, method: string, path: string, body?: unknown) =>
  request(dataDir, method, path, body).pipe(
    Effect.flatMap((answer) =>
      answer === undefined
        ? Effect.fail(failed(`no server is running on ${dataDir}; start it with: sluice serve`))
        : Effect.succeed(answer)
    ),
  );

/** Asks the running server if there is one; undefined otherwise. */
export const tryServer = request;
