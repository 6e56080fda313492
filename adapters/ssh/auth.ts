import { Buffer } from "node:buffer";
import { Effect, Exit } from "effect";
import type { Login, LoginOutcome, Prompt, SshMethod } from "../../src/identity/identity.ts";
import type { User } from "../../src/model/user.ts";
import type { Bridge } from "../../actors/bridge.ts";
import { Fields, Message, packet, Reason } from "./wire.ts";

/** Requests that a client may send ahead of the answers. */
const MAX_QUEUED = 10;
/** Requests of kinds that Identity never sees, before the client is cut. */
const MAX_ODD = 20;

/** What the login needs of its connection. */
export interface AuthLink {
  readonly send: (payload: Uint8Array) => void;
  readonly disconnect: (reason: number, why: string) => void;
  readonly sessionId: () => Buffer;
  /** Opens the session; only a true answer logs the user in. */
  readonly accept: (user: User, method: string) => Effect.Effect<boolean>;
}

type Outcome = LoginOutcome | { readonly _tag: "KeyUsable" };
interface Request {
  readonly username: string;
  readonly method: string;
  readonly fields: Fields;
  readonly payload: Buffer;
}

/**
 * The SSH authentication protocol (RFC 4252, 4256), between the packets and
 * Identity's `Login`.
 *
 * Requests are answered one at a time, in order. There is exactly one branch
 * that logs in: Identity said `Accepted` and the session could be opened. An
 * exception anywhere ends the connection.
 */
export class Authenticator {
  /** The client tried some method other than `none`. */
  attempted = false;
  readonly #login: Login;
  readonly #link: AuthLink;
  readonly #bridge: Bridge;
  readonly #algorithms: ReadonlySet<string>;
  #queue: Request[] = [];
  #busy = false;
  #done = false;
  #odd = 0;
  #abandoned = false;
  #asked:
    | { count: number; answer: (answers: ReadonlyArray<string> | undefined) => void }
    | undefined;

  constructor(
    login: Login,
    link: AuthLink,
    bridge: Bridge,
    algorithms: ReadonlyArray<string>,
  ) {
    this.#login = login;
    this.#link = link;
    this.#bridge = bridge;
    this.#algorithms = new Set(algorithms);
  }

  /** Takes one USERAUTH packet. Throws Malformed, which ends the connection. */
  packet(type: number, fields: Fields, payload: Buffer): void {
    if (this.#done) return;
    if (type === Message.AuthInfoResponse) return this.#response(fields);
    const username = fields.text();
    const service = fields.text();
    const method = fields.text();
    if (service !== "ssh-connection") {
      return this.#stop(Reason.ServiceNotAvailable, "no such service");
    }
    if (this.#queue.length >= MAX_QUEUED) {
      return this.#stop(Reason.ProtocolError, "too many login requests at once");
    }
    if (method !== "none") this.attempted = true;
    // RFC 4256 section 3.1: a new request abandons the prompts that are open.
    if (this.#asked) {
      this.#abandoned = true;
      this.#asked.answer(undefined);
    }
    this.#queue.push({ username, method, fields, payload });
    if (!this.#busy) this.#next();
  }

  /** The connection is gone. */
  close(): void {
    this.#done = true;
    this.#queue = [];
    this.#asked?.answer(undefined);
  }

  #stop(reason: number, why: string): void {
    this.close();
    this.#link.disconnect(reason, why);
  }

  #next(): void {
    const request = this.#queue.shift();
    if (!request || this.#done) return;
    this.#busy = true;
    let attempt: Effect.Effect<Outcome | undefined>;
    try {
      attempt = this.#attempt(request);
    } catch {
      return this.#stop(Reason.ProtocolError, "malformed login request");
    }
    const step = Effect.flatMap(attempt, (outcome) => this.#decide(request, outcome)).pipe(
      Effect.tapErrorCause((cause) => Effect.logError("a login ended by a defect", cause)),
    );
    this.#bridge.run(step).then((exit) => {
      this.#busy = false;
      if (Exit.isFailure(exit)) return this.#stop(Reason.ByApplication, "login failed");
      this.#next();
    });
  }

  /** Undefined: a request that Identity has no word for, refused here. */
  #attempt({ username, method, fields, payload }: Request): Effect.Effect<Outcome | undefined> {
    switch (method) {
      case "none":
        return this.#login.none(username);
      case "password": {
        const change = fields.flag();
        const password = fields.text();
        // A change was never asked for (SECURITY.md 3.1 item 4): it counts as a wrong try.
        return this.#login.password(username, change ? "" : password);
      }
      case "publickey": {
        const signed = fields.flag();
        const algorithm = fields.string().toString("latin1");
        const blob = fields.string();
        if (!this.#algorithms.has(algorithm)) return Effect.succeed(undefined);
        if (!signed) return this.#login.publicKey(username, { algorithm, blob });
        const end = fields.position;
        const signature = fields.string();
        const id = this.#link.sessionId();
        const length = Buffer.allocUnsafe(4);
        length.writeUInt32BE(id.length, 0);
        const bytes = Buffer.concat([length, id, payload.subarray(0, end)]);
        return this.#login.publicKey(username, { algorithm, blob, signature, signed: bytes });
      }
      case "keyboard-interactive":
        return this.#login.keyboardInteractive(username, (prompts) => this.#ask(prompts));
      default:
        return Effect.succeed(undefined);
    }
  }

  #decide(request: Request, outcome: Outcome | undefined): Effect.Effect<void> {
    if (this.#done) return Effect.void;
    switch (outcome?._tag) {
      case "Accepted":
        return Effect.map(this.#link.accept(outcome.user, outcome.method), (accepted) => {
          if (accepted) this.#done = true;
          else this.#stop(Reason.TooManyConnections, "too many sessions");
        });
      case "KeyUsable":
        return Effect.sync(() => this.#keyUsable(request));
      case "Partial":
        return Effect.sync(() => this.#failure(outcome.next, true));
      case "Refused":
        return Effect.sync(() =>
          outcome.exhausted
            ? this.#stop(Reason.NoMoreAuthMethods, "Too many authentication failures")
            : this.#failure(outcome.next, false)
        );
      default:
        if (++this.#odd > MAX_ODD) {
          return Effect.sync(() =>
            this.#stop(Reason.NoMoreAuthMethods, "Too many authentication failures")
          );
        }
        return Effect.map(this.#login.methods, (methods) => this.#failure(methods, false));
    }
  }

  #keyUsable({ fields, payload }: Request): void {
    // Parsed again, so that the answer echoes exactly what was asked (RFC 4252 section 7).
    const end = fields.position;
    const again = new Fields(payload, 1);
    for (let skip = 0; skip < 3; skip++) again.string();
    if (again.flag() || end > payload.length) return this.#failure([], false);
    this.#link.send(packet(Message.AuthPkOk, again.string(), again.string()));
  }

  /** Nothing is answered to a prompt that a newer request has replaced. */
  #failure(next: ReadonlyArray<SshMethod>, partial: boolean): void {
    if (this.#abandoned) {
      this.#abandoned = false;
      return;
    }
    this.#link.send(packet(Message.AuthFailure, next.join(","), partial));
  }

  #ask(prompts: ReadonlyArray<Prompt>): Effect.Effect<ReadonlyArray<string>, Error> {
    return Effect.async<ReadonlyArray<string>, Error>((resume) => {
      if (this.#done || this.#queue.length > 0) return resume(Effect.fail(ABANDONED));
      this.#asked = {
        count: prompts.length,
        answer: (answers) => {
          this.#asked = undefined;
          resume(answers ? Effect.succeed(answers) : Effect.fail(ABANDONED));
        },
      };
      const shown = prompts.flatMap(({ text, echo }) => [text, echo]);
      this.#link.send(packet(Message.AuthInfoRequest, "", "", "", prompts.length, ...shown));
    });
  }

  #response(fields: Fields): void {
    const asked = this.#asked;
    const count = fields.uint32();
    if (!asked) return;
    if (count !== asked.count) return asked.answer(undefined);
    const answers: string[] = [];
    for (let index = 0; index < count; index++) answers.push(fields.text());
    asked.answer(answers);
  }
}

const ABANDONED = new Error("the client abandoned the prompt");
