import type { Effect } from "effect";
import type { ServerTls } from "../../actors/secure.ts";
import type { Settings } from "../../src/config/config.ts";
import type { ShownCertificate } from "../../src/identity/tls_certificate.ts";
import type { ChecksumAlgorithm, OpenOptions, OwnedHandle, Vfs } from "../../src/vfs/vfs.ts";
import type { VPath } from "../../src/vpath.ts";
import type { Control } from "./control.ts";
import type { DataConnections } from "./data.ts";
import type { Fact } from "./listing.ts";
import type { Reply } from "./reply.ts";

/** What a logged-in user has. */
export interface Account {
  readonly vfs: Vfs;
  cwd: VPath;
}

/** One control connection, as its commands see it. */
export interface State {
  readonly settings: Settings["ftpd"];
  readonly control: Control;
  readonly data: DataConnections;
  readonly tls: ServerTls;
  /** Whether nobody logs in without a certificate. */
  readonly certificateRequired: boolean;
  /** What the client has shown in the handshake of the control connection, if it counts. */
  readonly certificate: () => ShownCertificate | undefined;
  /** 1 and 2: nothing goes without TLS. */
  readonly tlsMode: 0 | 1 | 2;
  username: string | undefined;
  account: Account | undefined;
  ascii: boolean;
  /** Where the next transfer begins; each other command sets it back. */
  restart: number;
  renameFrom: VPath | undefined;
  /** Facts of MLST and MLSD, in the order of FEAT. */
  facts: ReadonlyArray<Fact>;
  hash: ChecksumAlgorithm;
  /** Runs one operation in the session's turn; rejects with its FsError. */
  readonly run: <A, E>(operation: Effect.Effect<A, E>) => Promise<A>;
  /** Opens a file that is left at the end of the connection, if not before. */
  readonly openFile: (vfs: Vfs, path: VPath, options: OpenOptions) => Promise<OwnedHandle>;
  /** Leaves it: an upload that was not closed is aborted. */
  readonly leave: (file: OwnedHandle) => Promise<void>;
  /** Tries the certificate of the TLS connection; undefined: the password is next. */
  readonly certify: (username: string) => Promise<Reply | undefined>;
  /** Tries a password; what is answered is the reply. */
  readonly login: (username: string, password: string) => Promise<Reply>;
  /** Answers before the command is done. */
  readonly reply: (what: Reply) => void;
}

/** Does one command; what it answers is sent. Failures are answered by their reason. */
export type Handler = (state: State, argument: string) => Promise<Reply> | Reply;

export interface Command {
  readonly handler: Handler;
  /** Served before the login. */
  readonly early?: boolean;
  readonly argument?: "required" | "none";
  /** What REST prepared is for this command. */
  readonly restarts?: boolean;
}
