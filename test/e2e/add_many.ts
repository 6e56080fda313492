/**
 * Fills the catalog of a data folder: `deno run -A add_many.ts DIR COUNT KEYLINE`.
 *
 * Users `user0`, `user1` ... each with the one key. Rows are written as they
 * are stored, a hundred a statement: 10,000 runs of `user add` would take an hour.
 */
import { Effect } from "effect";
import { toColumns } from "../../src/catalog/user_rows.ts";
import { openIn, user } from "../catalog/world.ts";

const [dir = "", count = "", key = ""] = Deno.args;
const now = Date.now();

const row = (index: number) => ({
  ...toColumns(user(`user${index}`, { public_keys: [key] })),
  password_hash: "",
  created_at: now,
  updated_at: now,
  totp_step: -1,
  ...Object.fromEntries(
    [
      "used_quota_size",
      "used_quota_files",
      "last_quota_update",
      "used_upload_data_transfer",
      "used_download_data_transfer",
      "last_login",
      "first_upload",
      "first_download",
      "last_password_change",
    ].map((column) => [column, 0]),
  ) as Record<Counter, number>,
});

type Counter =
  | "used_quota_size"
  | "used_quota_files"
  | "last_quota_update"
  | "used_upload_data_transfer"
  | "used_download_data_transfer"
  | "last_login"
  | "first_upload"
  | "first_download"
  | "last_password_change";

const fill = Effect.gen(function* () {
  const { database: { write } } = yield* openIn(dir);
  yield* Effect.promise(async () => {
    for (let from = 0; from < Number(count); from += 100) {
      const rows = Array.from(
        { length: Math.min(100, Number(count) - from) },
        (_, i) => row(from + i),
      );
      await write.insertInto("users").values(rows).execute();
    }
  });
});

await Effect.runPromise(Effect.scoped(fill));
// The native library would keep the process.
Deno.exit(0);
