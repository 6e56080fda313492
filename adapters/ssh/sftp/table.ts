import type { Body } from "./body.ts";
import type { Session } from "./session.ts";

/**
 * Handles one request: reads its fields, then answers now or later.
 *
 * Fields are read before anything else happens; the body is only valid until
 * the handler returns.
 */
export type Handler = (session: Session, id: number, body: Body) => void;

/** One row of the dispatch table: a packet type, or the name of an extended request. */
export interface Row {
  readonly type: number;
  readonly name: string;
  readonly handler: Handler;
  /** Whether it can change anything: what a read-only user must not get done. */
  readonly writes: boolean;
}

/** An extension: how VERSION announces it, or undefined for another name of the same. */
export interface ExtensionRow extends Row {
  readonly data: string | undefined;
}
