import { Effect, type Scope, TestContext } from "effect";

/** Runs an effect as one Deno test, with a test clock and a scope of its own. */
export const it = <E>(name: string, body: () => Effect.Effect<unknown, E, Scope.Scope>): void =>
  Deno.test(
    name,
    () =>
      Effect.runPromise(
        Effect.asVoid(Effect.scoped(body())).pipe(Effect.provide(TestContext.TestContext)),
      ),
  );

/** The same with the real clock, for tests that touch sockets, files or other processes. */
export const live = <E>(
  name: string,
  body: () => Effect.Effect<unknown, E, Scope.Scope>,
): void => Deno.test(name, () => Effect.runPromise(Effect.asVoid(Effect.scoped(body()))));

/** A service of which only these calls are there: any other fails the test that makes it. */
export const onlyWith = <S extends object>(calls: Partial<S>): S => calls as S;

/** A fresh folder, removed when the scope closes. */
export const tempDir = Effect.acquireRelease(
  Effect.promise(() => Deno.makeTempDir({ prefix: "sluice-test-" })),
  (dir) => Effect.promise(() => Deno.remove(dir, { recursive: true })),
);
