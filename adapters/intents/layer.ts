import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import { type IntentLog, memoryIntentLog } from "../../src/events/intent_log.ts";
import { fileIntentLog } from "./file_log.ts";

/**
 * The intent log of `part`: `hub`, or a worker's name, which must not be one that
 * this process used before. In memory where the catalog is.
 */
export const intentLog = (part: string): Layer.Layer<IntentLog, never, Config> =>
  Layer.unwrapEffect(
    Effect.map(
      Config,
      ({ data_dir, data_provider }) =>
        data_provider.url.includes(":memory:") ? memoryIntentLog : fileIntentLog({
          dir: `${data_dir}/intents`,
          part,
          flush: data_provider.synchronous === "full",
        }),
    ),
  );
