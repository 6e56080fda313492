import { Context, type Effect } from "effect";
import type { CatalogError } from "../errors.ts";
import type { User } from "../model/user.ts";
import type { ShownCertificate } from "./tls_certificate.ts";

/** Login methods as SSH names them on the wire (RFC 4252). */
export type SshMethod = "publickey" | "password" | "keyboard-interactive";

/**
 * Protocols that people log in over, as `denied_protocols` and login events name
 * them. Over FTP a one-time code follows the password (BEHAVIOUR FTP-19).
 */
export type LoginProtocol = "SSH" | "FTP" | "DAV" | "HTTP";

/**
 * How one attempt ended. `Accepted` is the only branch that logs anyone in.
 * `next` lists the methods that can continue, to be advertised to the client.
 */
export type LoginOutcome =
  | { readonly _tag: "Accepted"; readonly user: User; readonly method: string }
  | { readonly _tag: "Partial"; readonly next: ReadonlyArray<SshMethod> }
  | {
    readonly _tag: "Refused";
    readonly next: ReadonlyArray<SshMethod>;
    /** The connection has used up its tries: disconnect. */
    readonly exhausted: boolean;
  };

/** A public key, or an OpenSSH certificate, as a client presents it (RFC 4252 section 7). */
export interface PresentedKey {
  /** Algorithm name of the request, e.g. `rsa-sha2-512`, `ssh-ed25519-cert-v01@openssh.com`. */
  readonly algorithm: string;
  /** Public key blob (RFC 4253 section 6.6) or certificate blob (PROTOCOL.certkeys). */
  readonly blob: Uint8Array;
  /** Signature blob as on the wire (string algorithm, string signature, and for `sk-*` flags and counter). Absent: the client only asks. */
  readonly signature?: Uint8Array;
  /** The bytes that were signed: session identifier and request (RFC 4252 section 7). */
  readonly signed?: Uint8Array;
}

export interface Prompt {
  readonly text: string;
  readonly echo: boolean;
}

/**
 * One connection's attempts to log in.
 *
 * Counts tries over all methods, keeps the factor already passed, and records
 * login events. Unknown and known users take the same steps and the same time.
 * A changed user name between attempts forgets earlier factors.
 */
export interface Login {
  readonly none: (username: string) => Effect.Effect<LoginOutcome>;
  /** `code`: the one-time code that came along, where the protocol has a place for it (BEHAVIOUR MFA-05). */
  readonly password: (
    username: string,
    password: string,
    code?: string,
  ) => Effect.Effect<LoginOutcome>;
  /** Without a signature answers whether the key would do (`KeyUsable`); with one, verifies it. */
  readonly publicKey: (
    username: string,
    key: PresentedKey,
  ) => Effect.Effect<LoginOutcome | { readonly _tag: "KeyUsable" }>;
  /**
   * Tries a certificate that TLS has proven, before any password (BEHAVIOUR FTP-18). Not
   * counted: without it, or where the user needs a password as well, `password` is next.
   */
  readonly certificate: (
    username: string,
    shown: ShownCertificate,
  ) => Effect.Effect<LoginOutcome>;
  readonly keyboardInteractive: (
    username: string,
    /** Shows prompts and waits for as many answers; fails when the client went away. */
    ask: (prompts: ReadonlyArray<Prompt>) => Effect.Effect<ReadonlyArray<string>, unknown>,
  ) => Effect.Effect<LoginOutcome>;
  /** Methods to try, before any attempt. */
  readonly methods: Effect.Effect<ReadonlyArray<SshMethod>>;
  /**
   * The connection ended before a login: records it, unless an attempt was
   * recorded (BEHAVIOUR SSH-04). For every connection that did not log in.
   */
  readonly abandoned: Effect.Effect<void>;
}

/** Decides who may log in. */
export class Identity extends Context.Tag("sluice/Identity")<Identity, {
  readonly begin: (peer: {
    readonly ip: string;
    readonly protocol: LoginProtocol;
    readonly sessionId: string;
  }) => Effect.Effect<Login>;
  /** Whether a user who is logged in may stay (status, expiry, allowed hours): BEHAVIOUR CONN-07. */
  readonly stillAllowed: (username: string) => Effect.Effect<boolean, CatalogError>;
}>() {}
