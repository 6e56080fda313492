import type { Client, InStatement, InValue, ResultSet } from "@libsql/client";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from "kysely";
import { CatalogError } from "../../src/errors.ts";
import { toCatalogError } from "./errors.ts";

export interface LibsqlOptions {
  readonly client: Client;
  /** A database in this process's own files or memory, as opposed to one behind HTTP. */
  readonly local: boolean;
  /** Run on each new connection, before anything else. */
  readonly pragmas: string;
  /** Whether a new connection sees the same database, so that a stuck one can be replaced. */
  readonly replaceable: boolean;
}

/** Kysely on @libsql/client. One connection at a time when local; rejects with CatalogError only. */
export class LibsqlDialect implements Dialect {
  readonly #options: LibsqlOptions;
  constructor(options: LibsqlOptions) {
    this.#options = options;
  }
  createDriver(): Driver {
    return new LibsqlDriver(this.#options);
  }
  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }
  createAdapter(): SqliteAdapter {
    return new OwnTurns();
  }
  createIntrospector(db: Kysely<unknown>): SqliteIntrospector {
    return new SqliteIntrospector(db);
  }
}

/**
 * The driver below takes turns itself: Kysely's own lock is never given back when
 * a connection cannot be had (0.29), and all that come after wait for ever.
 */
class OwnTurns extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/** What a client and a transaction have in common. */
type Target = Pick<Client, "executeMultiple"> & {
  execute(statement: InStatement): Promise<ResultSet>;
};
type Transaction = Awaited<ReturnType<Client["transaction"]>>;

class LibsqlDriver implements Driver {
  readonly #options: LibsqlOptions;
  /** Resolves when the connection is free. */
  #turn: Promise<void> = Promise.resolve();
  #primed = false;
  #spoiled = false;

  constructor(options: LibsqlOptions) {
    this.#options = options;
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  async acquireConnection(): Promise<LibsqlConnection> {
    const { client, local, pragmas, replaceable } = this.#options;
    if (!local) return new LibsqlConnection(client, () => {}, () => {});
    const before = this.#turn;
    let free = () => {};
    this.#turn = new Promise((resolve) => free = resolve);
    await before;
    try {
      if (this.#spoiled) {
        await client.reconnect();
        this.#primed = this.#spoiled = false;
      }
      if (!this.#primed) await client.executeMultiple(pragmas);
      this.#primed = true;
    } catch (cause) {
      this.#spoiled = replaceable;
      free();
      throw toCatalogError("connect", cause);
    }
    return new LibsqlConnection(client, free, () => this.#spoiled = replaceable);
  }

  async beginTransaction(
    connection: LibsqlConnection,
    { accessMode }: TransactionSettings,
  ): Promise<void> {
    const { client, local } = this.#options;
    const reads = accessMode === "read only";
    let transaction: Transaction | undefined;
    try {
      transaction = await client.transaction(local ? "deferred" : reads ? "read" : "write");
      // A prepared BEGIN IMMEDIATE that met SQLITE_BUSY stays unfinished in the native library, and
      // no later COMMIT of that connection succeeds (tursodatabase/libsql-client-ts#352). Run as a
      // script it is finalised.
      if (local && !reads) await transaction.executeMultiple("COMMIT; BEGIN IMMEDIATE");
      connection.transaction = transaction;
    } catch (cause) {
      transaction?.close();
      throw toCatalogError("begin", cause);
    }
  }

  async commitTransaction(connection: LibsqlConnection): Promise<void> {
    try {
      await connection.transaction?.commit();
      connection.transaction = undefined;
    } catch (cause) {
      connection.spoil();
      throw toCatalogError("commit", cause);
    }
  }

  async rollbackTransaction(connection: LibsqlConnection): Promise<void> {
    try {
      await connection.transaction?.rollback();
    } catch (cause) {
      connection.spoil();
      throw toCatalogError("rollback", cause);
    } finally {
      connection.transaction = undefined;
    }
  }

  releaseConnection(connection: LibsqlConnection): Promise<void> {
    connection.transaction?.close();
    connection.free();
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    this.#options.client.close();
    return Promise.resolve();
  }
}

class LibsqlConnection implements DatabaseConnection {
  transaction: Transaction | undefined;
  readonly #client: Client;
  readonly free: () => void;
  /** Marks the native connection for replacement: a statement may be stuck in it. */
  readonly spoil: () => void;

  constructor(client: Client, free: () => void, spoil: () => void) {
    this.#client = client;
    this.free = free;
    this.spoil = spoil;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const target: Target = this.transaction ?? this.#client;
    try {
      const result = await target.execute({ sql: query.sql, args: query.parameters.map(toSql) });
      return {
        rows: result.rows.map((row) => fromSql(result.columns, row) as R),
        numAffectedRows: BigInt(result.rowsAffected),
        ...(result.lastInsertRowid === undefined ? {} : { insertId: result.lastInsertRowid }),
      };
    } catch (cause) {
      const error = toCatalogError("query", cause);
      if (error.reason !== "Duplicate") this.spoil();
      throw error;
    }
  }

  // deno-lint-ignore require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    await Promise.resolve();
    throw new CatalogError({
      reason: "Unavailable",
      op: "query",
      detail: "rows are read in pages, not streamed",
    });
  }
}

/** Whole numbers go as integers: the native library binds a JavaScript number as a REAL. */
const toSql = (value: unknown): InValue =>
  typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value as InValue;

/** Integers come as bigint; only those that a double holds exactly become numbers here. */
const fromSql = (columns: ReadonlyArray<string>, row: ResultSet["rows"][number]) => {
  const out: Record<string, unknown> = {};
  columns.forEach((column, i) => {
    const value = row[i];
    out[column] = typeof value === "bigint" && Number.isSafeInteger(Number(value))
      ? Number(value)
      : value;
  });
  return out;
};
