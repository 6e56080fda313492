import { Effect, type Scope } from "effect";
import type { Binding } from "../src/config/config.ts";
import type { ConfigError } from "../src/errors.ts";
import { bindAddress } from "./listener.ts";

/**
 * Makes sure that the addresses are free, and answers them with the ports chosen
 * where 0 was asked for. Until the scope closes others than threads that share
 * them cannot take them; whoever connects before such a thread listens is cut.
 *
 * Sharing alone would not notice a port that another server shares already.
 */
export const holdPorts = <B extends Binding>(
  bindings: ReadonlyArray<B>,
  where: string,
): Effect.Effect<ReadonlyArray<B>, ConfigError, Scope.Scope> =>
  Effect.forEach(bindings, (binding) => {
    const { address, port } = binding;
    const open = (port: number, shared: boolean) =>
      Effect.acquireRelease(
        bindAddress({ address, where }, port, shared),
        (listener) => Effect.sync(() => listener.close()),
      );
    return Effect.gen(function* () {
      const chosen = yield* Effect.scoped(
        Effect.map(open(port, false), (listener) => listener.addr.port),
      );
      yield* open(chosen, true);
      return { ...binding, port: chosen };
    });
  });
