import { DatabaseSync } from "node:sqlite";
import { Effect } from "effect";

interface Value {
  readonly type: "null" | "integer" | "float" | "text" | "blob";
  readonly value?: string | number;
}
interface Statement {
  readonly sql?: string;
  /** Text that the stream stored before. */
  readonly sql_id?: number;
  readonly args?: ReadonlyArray<Value>;
}
interface Condition {
  readonly type: "ok" | "error" | "not" | "and" | "or" | "is_autocommit";
  readonly step?: number;
  readonly cond?: Condition;
  readonly conds?: ReadonlyArray<Condition>;
}
type Request =
  | { readonly type: "execute"; readonly stmt: Statement }
  | {
    readonly type: "batch";
    readonly batch: { readonly steps: ReadonlyArray<{ stmt: Statement; condition?: Condition }> };
  }
  | {
    readonly type: "sequence" | "close" | "get_autocommit" | "store_sql" | "close_sql";
    readonly sql?: string;
    readonly sql_id?: number;
  };

interface HranaStream {
  readonly db: DatabaseSync;
  readonly stored: Map<number, string>;
}

/**
 * A libSQL server for tests: Hrana 2 over HTTP (libsql HRANA_2_SPEC.md) on a
 * SQLite file, with a connection for each stream, as the real one has.
 */
export const hranaServer = (file: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const streams = new Map<string, HranaStream>();
        const server = Deno.serve(
          { hostname: "127.0.0.1", port: 0, onListen: () => {} },
          (request) => answer(request, file, streams),
        );
        return { server, streams };
      }),
      ({ server, streams }) =>
        Effect.promise(async () => {
          await server.shutdown();
          for (const { db } of streams.values()) db.close();
        }),
    ),
    ({ server }) => `http://127.0.0.1:${server.addr.port}`,
  );

const answer = async (
  request: globalThis.Request,
  file: string,
  streams: Map<string, HranaStream>,
): Promise<Response> => {
  if (new URL(request.url).pathname !== "/v2/pipeline") {
    await request.body?.cancel();
    return new Response("", { status: 404 });
  }
  const { baton, requests } = await request.json() as { baton?: string; requests: Request[] };
  const name = baton ?? crypto.randomUUID();
  const stream = streams.get(name) ??
    { db: new DatabaseSync(file, { timeout: 0 }), stored: new Map() };
  streams.set(name, stream);
  const results = requests.map((one) => {
    try {
      return { type: "ok", response: { type: one.type, ...run(stream, one) } };
    } catch (cause) {
      return { type: "error", error: failure(cause) };
    }
  });
  const closed = requests.some((one) => one.type === "close");
  if (closed) {
    stream.db.close();
    streams.delete(name);
  }
  return Response.json({ baton: closed ? null : name, base_url: null, results });
};

const run = (stream: HranaStream, request: Request): Record<string, unknown> => {
  if (request.type === "execute") return { result: execute(stream, request.stmt) };
  if (request.type === "batch") return { result: batch(stream, request.batch.steps) };
  const { sql = "", sql_id = 0 } = request;
  if (request.type === "store_sql") stream.stored.set(sql_id, sql);
  if (request.type === "close_sql") stream.stored.delete(sql_id);
  if (request.type === "sequence") stream.db.exec(sql || stream.stored.get(sql_id) || "");
  return request.type === "get_autocommit" ? { is_autocommit: !stream.db.isTransaction } : {};
};

const batch = (
  stream: HranaStream,
  steps: ReadonlyArray<{ stmt: Statement; condition?: Condition }>,
) => {
  const step_results: unknown[] = [];
  const step_errors: unknown[] = [];
  const holds = (c: Condition): boolean =>
    c.type === "ok"
      ? step_results[c.step ?? 0] !== null
      : c.type === "error"
      ? step_errors[c.step ?? 0] !== null
      : c.type === "not"
      ? !holds(c.cond!)
      : c.type === "is_autocommit"
      ? !stream.db.isTransaction
      : c.type === "and"
      ? c.conds!.every(holds)
      : c.conds!.some(holds);
  for (const { stmt, condition } of steps) {
    let result: unknown = null;
    let error: unknown = null;
    try {
      if (!condition || holds(condition)) result = execute(stream, stmt);
    } catch (cause) {
      error = failure(cause);
    }
    step_results.push(result);
    step_errors.push(error);
  }
  return { step_results, step_errors };
};

const execute = (stream: HranaStream, { sql: text, sql_id = 0, args = [] }: Statement) => {
  const sql = text ?? stream.stored.get(sql_id) ?? "";
  const statement = stream.db.prepare(sql);
  statement.setReadBigInts(true);
  const values = args.map((a) =>
    a.type === "null" ? null : a.type === "integer" ? BigInt(a.value ?? 0) : a.value ?? null
  );
  // `columns()` of a statement without any fails in Deno's node:sqlite.
  if (!/^\s*(select|pragma)\b|\breturning\b/i.test(sql)) {
    const { changes, lastInsertRowid } = statement.run(...values);
    return {
      cols: [],
      rows: [],
      affected_row_count: Number(changes),
      last_insert_rowid: `${lastInsertRowid}`,
    };
  }
  const cols = statement.columns().map((c) => ({ name: c.name, decltype: c.type }));
  const rows = statement.all(...values).map((row) => cols.map(({ name }) => encode(row[name])));
  return { cols, rows, affected_row_count: 0, last_insert_rowid: null };
};

const encode = (value: unknown) =>
  value === null
    ? { type: "null" }
    : typeof value === "bigint"
    ? { type: "integer", value: `${value}` }
    : typeof value === "number"
    ? { type: "float", value }
    : { type: "text", value };

const codes: Readonly<Record<number, string>> = { 5: "SQLITE_BUSY", 19: "SQLITE_CONSTRAINT" };

const failure = (cause: unknown) => ({
  message: cause instanceof Error ? cause.message : String(cause),
  code: codes[Number((cause as { errcode?: number }).errcode) & 0xff] ?? "SQLITE_UNKNOWN",
});
