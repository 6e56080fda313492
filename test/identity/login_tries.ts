import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { Effect, Fiber, TestClock } from "effect";
import { Identity, type Login, type LoginOutcome } from "../../src/identity/identity.ts";
import { wireString, type World } from "./fixtures.ts";

const pair = generateKeyPairSync("ed25519");
const point = Buffer.from(pair.publicKey.export({ format: "jwk" }).x!, "base64url");
export const blob = Buffer.concat([wireString("ssh-ed25519"), wireString(point)]);
/** Alice's key, as a line of her account. */
export const keyLine = `ssh-ed25519 ${blob.toString("base64")} alice's laptop`;
const signed = Buffer.from("request");
/** Whether a key would do, without a signature. */
export const question = { algorithm: "ssh-ed25519", blob };
export const goodKey = {
  ...question,
  signed,
  signature: Buffer.concat([
    wireString("ssh-ed25519"),
    wireString(sign(null, signed, pair.privateKey)),
  ]),
};
const badKey = { ...goodKey, signed: Buffer.from("another request") };

export const alice = { username: "alice", password_hash: "plain:right", public_keys: [keyLine] };
/** Answers prompts, one after the other. */
export const answers = (...given: string[]) => {
  const left = [...given];
  return () => Effect.succeed(left.splice(0, 1));
};

/** Starts a login from 10.1.2.3 and gives it to `body`. */
export const begin = (world: World, settings: Record<string, unknown> = {}, ip = "10.1.2.3") =>
  Effect.flatMap(Identity, (identity) => identity.begin({ ip, protocol: "SSH", sessionId: "s1" }))
    .pipe(Effect.provide(world.layer(settings)));

/** Runs one attempt with the clock moved past any delay. */
export const past = <A, E>(attempt: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(attempt);
    yield* TestClock.adjust("2 seconds");
    return yield* Fiber.join(fiber);
  });

export const tag = (outcome: LoginOutcome | { readonly _tag: "KeyUsable" }) => outcome._tag;
export const lastReason = (world: World) => world.events.at(-1)?.message;

/** The right try of alice's by each method, and a wrong one. */
export const single: Readonly<
  Record<string, (login: Login) => Effect.Effect<LoginOutcome | { readonly _tag: "KeyUsable" }>>
> = {
  "publickey": (login) => login.publicKey("alice", goodKey),
  "password": (login) => login.password("alice", "right"),
  "keyboard-interactive": (login) => login.keyboardInteractive("alice", answers("right")),
};
export const wrongs: typeof single = {
  "publickey": (login) => login.publicKey("alice", badKey),
  "password": (login) => login.password("alice", "wrong"),
  "keyboard-interactive": (login) => login.keyboardInteractive("alice", answers("wrong")),
};
