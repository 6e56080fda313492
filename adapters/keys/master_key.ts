import { createHash } from "node:crypto";
import { join } from "node:path";
import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import type { ConfigError } from "../../src/errors.ts";
import { MasterKey } from "../../src/identity/sealed.ts";
import { secretFile } from "./secret_file.ts";

/** Reads `<data_dir>/master.key`, or makes it on the first start. */
export const layer: Layer.Layer<MasterKey, ConfigError, Config> = Layer.effect(
  MasterKey,
  Effect.gen(function* () {
    const bytes = yield* secretFile(join((yield* Config).data_dir, "master.key"));
    const id = createHash("sha256").update("sluice master key").update(bytes).digest("hex");
    return MasterKey.of({ id: id.slice(0, 16), bytes });
  }),
);
