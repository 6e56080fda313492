import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { makeKey, publicKey } from "./clients.ts";
import { sluiceMust } from "./server.ts";
import { makeWorld, type World } from "./world.ts";

export const password = "correct horse battery";
/** Base32 secrets by user, as `user totp` gave them out. */
const totpSecrets: Record<string, string> = {};

const base32 = (text: string): Uint8Array => {
  const bits = [...text].map((c) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")
  ).join("");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (b) => parseInt(b, 2));
};

/** RFC 6238, six digits, SHA-1. `step` counts 30 s steps from now. */
export const totp = (user: string, step = 0): string => {
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(Math.floor(Date.now() / 30_000) + step));
  const mac = createHmac("sha1", base32(totpSecrets[user] ?? "")).update(counter).digest();
  const at = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};

const allSsh = ["publickey", "password", "password-over-SSH", "keyboard-interactive"];
const keyThenPassword = [...allSsh, "publickey+keyboard-interactive"];
const keyThenAnswers = [...allSsh, "publickey+password"];

let world: World | undefined;
const keys: Record<string, string> = {};

/** The running server, with a user for each way to log in. */
export const w = (): World => {
  assert.ok(world);
  return world;
};

/** The private key of a kind; `stranger` is nobody's. */
export const keyOf = (kind: string): string => keys[kind] ?? "";

export const keyKinds: ReadonlyArray<readonly [string, ...string[]]> = [
  ["ed25519", "-t", "ed25519"],
  ["ecdsa256", "-t", "ecdsa", "-b", "256"],
  ["ecdsa384", "-t", "ecdsa", "-b", "384"],
  ["ecdsa521", "-t", "ecdsa", "-b", "521"],
  ["rsa2048", "-t", "rsa", "-b", "2048"],
  ["rsa3072", "-t", "rsa", "-b", "3072"],
  ["rsa4096", "-t", "rsa", "-b", "4096"],
];

/** To be called once a file: starts the server before its tests and stops it after them. */
export const serveAll = (): void => {
  Deno.test.beforeAll(async () => {
    const keyDir = await Deno.makeTempDir({ prefix: "sluice-keys-" });
    for (const [name, ...args] of keyKinds) keys[name] = await makeKey(keyDir, name, ...args);
    keys["stranger"] = await makeKey(keyDir, "stranger");
    const kinds = await Promise.all(keyKinds.map(([name]) => publicKey(keyOf(name))));
    const pair = [await publicKey(keyOf("ed25519"))];
    world = await makeWorld([
      { username: "pw", password, public_keys: [] },
      { username: "kinds", public_keys: kinds },
      { username: "any", password, public_keys: pair },
      {
        username: "keypw",
        password,
        public_keys: pair,
        filters: { denied_login_methods: keyThenPassword },
      },
      {
        username: "keykbd",
        password,
        public_keys: pair,
        filters: { denied_login_methods: keyThenAnswers },
      },
      {
        username: "keytotp",
        password,
        public_keys: pair,
        filters: { denied_login_methods: keyThenAnswers },
      },
      { username: "totp", password, public_keys: [] },
      { username: "nopw", password, filters: { denied_login_methods: ["password"] } },
      { username: "nokey", password, filters: { denied_login_methods: ["publickey"] } },
      { username: "off", password, status: 0 },
      { username: "expired", password, expiration_date: Date.now() - 60_000 },
      { username: "elsewhere", password, filters: { allowed_ip: ["10.0.0.0/8"] } },
      { username: "nothere", password, filters: { denied_ip: ["127.0.0.0/8"] } },
      { username: "here", password, filters: { allowed_ip: ["127.0.0.1/32"] } },
      { username: "nossh", password, filters: { denied_protocols: ["SSH"] } },
    ]);
    // Not by `user add`, which never writes a second factor (BEHAVIOUR USER-39).
    for (const user of ["keytotp", "totp"]) {
      const args = ["user", "totp", user, "enable", "--json"];
      totpSecrets[user] = JSON.parse(await sluiceMust(world.server.dataDir, args)).secret;
    }
  });
  Deno.test.afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });
};
