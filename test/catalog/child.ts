/** A second process on the same database: `child.ts MODE DIR NAME COUNT`. Prints a line for each acknowledged step. */
import { Effect } from "effect";
import { openIn, operator, user } from "./world.ts";

const [mode, dir = "", name = "", count = "0"] = Deno.args;

const say = (line: string) =>
  Effect.sync(() => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n")));
const upload = (path: string) =>
  ({ action: "upload", status: 1, username: name, virtual_path: path }) as const;

const program = Effect.gen(function* () {
  const { users, journal, database } = yield* openIn(dir);
  yield* say("open");
  for (let i = 0; i < Number(count); i++) {
    if (mode === "users") {
      yield* users.add(user(`${name}-${i}`), operator);
      yield* say(`${name}-${i}`);
    } else if (mode === "events") {
      yield* journal.record(upload(`/${name}/${i}`));
      yield* journal.flush;
      yield* say(`/${name}/${i}`);
    } else if (mode === "prepare") {
      const quota = { username: name, bytes: 1, files: 1 };
      const intent = { kind: "publish", username: name, key: `${i}` } as const;
      yield* journal.prepare(upload(`/${i}`), intent, quota);
      yield* say(`${i}`);
    } else if (mode === "hold") {
      const trx = yield* Effect.promise(() => database.write.startTransaction().execute());
      yield* say("held");
      yield* Effect.sleep(Number(count));
      yield* Effect.promise(() => trx.rollback().execute());
      return;
    }
  }
  if (mode === "prepare") yield* Effect.never;
});

await Effect.runPromise(Effect.scoped(program));
