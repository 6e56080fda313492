import { Effect, Schema as S } from "effect";
import { Admins } from "./catalog/catalog.ts";
import { AdminInput } from "./model/admin.ts";
import { ConfigError } from "./errors.ts";

/**
 * Makes the first administrator from `SLUICE_ADMIN_USERNAME` and
 * `SLUICE_ADMIN_PASSWORD`; does nothing when there is one already.
 */
export const ensureFirstAdmin = Effect.gen(function* () {
  const username = Deno.env.get("SLUICE_ADMIN_USERNAME") ?? "";
  const password = Deno.env.get("SLUICE_ADMIN_PASSWORD") ?? "";
  if (username === "" && password === "") return;
  const where = username === "" ? "SLUICE_ADMIN_USERNAME" : "SLUICE_ADMIN_PASSWORD";
  if (username === "" || password === "") {
    const what = "is missing; set both SLUICE_ADMIN_USERNAME and SLUICE_ADMIN_PASSWORD, or none";
    return yield* new ConfigError({ problems: [{ where, what }] });
  }
  const admins = yield* Admins;
  if ((yield* admins.count) > 0) return;
  const input = S.decodeUnknownSync(AdminInput)({ username, password, permissions: ["*"] });
  yield* admins.add(input, { name: "__system__" });
  yield* Effect.logInfo({ event: "first_admin", username });
});
