import { Effect } from "effect";
import type { Binding } from "../src/config/config.ts";
import type { ConfigError } from "../src/errors.ts";
import { bindAddress } from "./listener.ts";

/**
 * Makes sure that the addresses are free, by taking each for a moment, and
 * answers them with the ports chosen where 0 was asked for. Afterwards several
 * threads can share each; that alone would not notice a port that is taken.
 */
export const choosePorts = (
  bindings: ReadonlyArray<Binding>,
  where: string,
): Effect.Effect<ReadonlyArray<Binding>, ConfigError> =>
  Effect.scoped(
    Effect.forEach(bindings, ({ address, port }) =>
      Effect.map(
        Effect.acquireRelease(
          bindAddress({ address, where }, port, false),
          (listener) => Effect.sync(() => listener.close()),
        ),
        (listener) => ({ address, port: listener.addr.port }),
      )),
  );
