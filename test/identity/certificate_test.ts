import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { Effect, Exit, Layer, TestClock } from "effect";
import { Identity } from "../../src/identity/identity.ts";
import { fingerprint } from "../../src/identity/ssh_key.ts";
import { it, tempDir } from "../harness.ts";
import { blobOf, keygen, wireString, World } from "./fixtures.ts";

const now = Date.UTC(2030, 5, 15);
const signed = Buffer.from("request");

/** A folder with an authority, and a way to have keys certified by it. */
const authority = Effect.gen(function* () {
  const dir = yield* tempDir;
  const pair = generateKeyPairSync("ed25519");
  const point = Buffer.from(pair.publicKey.export({ format: "jwk" }).x!, "base64url");
  const key = Buffer.concat([wireString("ssh-ed25519"), wireString(point)]);
  yield* Effect.promise(async () => {
    await keygen("-t", "ed25519", "-N", "", "-C", "ca", "-f", `${dir}/ca`);
    await keygen("-t", "ecdsa", "-N", "", "-C", "other ca", "-f", `${dir}/other`);
    await Deno.writeTextFile(`${dir}/user.pub`, `ssh-ed25519 ${key.toString("base64")} user\n`);
  });
  const certify = (...options: string[]) =>
    Effect.promise(async () => {
      const args = options.includes("-s") ? options : ["-s", `${dir}/ca`, ...options];
      await keygen(...args, "-I", "id of alice", "-z", "42", `${dir}/user.pub`);
      return blobOf(await Deno.readTextFile(`${dir}/user-cert.pub`));
    });
  const line = yield* Effect.promise(() => Deno.readTextFile(`${dir}/ca.pub`));
  return { dir, certify, line: line.trim(), key, secret: pair.privateKey };
});

const present = (blob: Uint8Array, secret: KeyObject) => ({
  algorithm: "ssh-ed25519-cert-v01@openssh.com",
  blob,
  signed,
  signature: Buffer.concat([wireString("ssh-ed25519"), wireString(sign(null, signed, secret))]),
});

const login = (
  world: World,
  sftpd: Record<string, unknown>,
  key: ReturnType<typeof present>,
  ip = "10.1.2.3",
) =>
  Effect.gen(function* () {
    const identity = yield* Identity;
    const attempt = yield* identity.begin({ ip, protocol: "SSH", sessionId: "s" });
    return (yield* attempt.publicKey("alice", key))._tag;
  }).pipe(Effect.provide(world.layer({ sftpd })));

const withAlice = () => {
  const world = new World();
  world.add({ username: "alice" });
  return world;
};
const year = ["-V", "20300101:20310101"];

it("SSH-11: a certificate for alice logs alice in by publickey", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const { certify, line, secret, key } = yield* authority;
    const blob = yield* certify("-n", "bob,alice", ...year);
    const world = withAlice();
    assert.equal(
      yield* login(world, { trusted_user_ca_keys: [line] }, present(blob, secret)),
      "Accepted",
    );
    const event = world.events.at(-1)!;
    assert.equal(event.method, "publickey");
    assert.ok(event.message!.startsWith(`${fingerprint(key)} certificate "id of alice" serial 42`));
    world.files.set("cas", `# ours\n\n${line}\n`);
    assert.equal(
      yield* login(world, { trusted_user_ca_keys: ["cas"] }, present(blob, secret)),
      "Accepted",
    );
    assert.equal(yield* login(world, {}, present(blob, secret)), "Refused", "no authority");
    const forever = yield* certify("-n", "alice");
    assert.equal(
      yield* login(world, { trusted_user_ca_keys: [line] }, present(forever, secret)),
      "Accepted",
    );
  }));

const refusals: ReadonlyArray<readonly [string, RegExp, ReadonlyArray<string>]> = [
  ["expired", /expired/, ["-n", "alice", "-V", "20290101:20300101"]],
  ["not valid yet", /not valid yet/, ["-n", "alice", "-V", "20310101:20320101"]],
  ["for another principal", /other principals/, ["-n", "bob,alic,alicee", ...year]],
  ["for no principal", /no principal/, [...year]],
  ["used from elsewhere", /address/, [
    "-n",
    "alice",
    "-O",
    "source-address=192.168.0.0/16",
    ...year,
  ]],
  ["bound to a command", /force-command/, ["-n", "alice", "-O", "force-command=ls", ...year]],
  ["with an unknown critical option", /"new@example.com"/, [
    "-n",
    "alice",
    "-O",
    "critical:new@example.com=1",
    ...year,
  ]],
  ["that needs a security key", /security key/, ["-n", "alice", "-O", "verify-required", ...year]],
  ["of a host", /not a user certificate/, ["-h", "-n", "alice", ...year]],
];
for (const [what, reason, options] of refusals) {
  it(`SSH-11: a certificate ${what} is refused`, () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now);
      const { certify, line, secret } = yield* authority;
      const world = withAlice();
      const key = present(yield* certify(...options), secret);
      assert.equal(yield* login(world, { trusted_user_ca_keys: [line] }, key), "Refused");
      assert.match(world.events.at(-1)!.message!, reason);
    }));
}

it("SSH-11: source-address lets the listed addresses in, IPv4-mapped ones too", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const { certify, line, secret } = yield* authority;
    const source = "source-address=192.168.0.0/16,10.1.2.3/32,2001:db8::/32";
    const key = present(yield* certify("-n", "alice", "-O", source, ...year), secret);
    const settings = { trusted_user_ca_keys: [line] };
    for (const ip of ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"]) {
      assert.equal(yield* login(withAlice(), settings, key, ip), "Accepted", ip);
    }
    for (const ip of ["10.1.2.4", "::ffff:10.1.2.4", "2001:db9::1", "nonsense"]) {
      assert.equal(yield* login(withAlice(), settings, key, ip), "Refused", ip);
    }
  }));

it("SSH-11: certificates of strangers, changed ones and ones without their key are refused", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const { dir, certify, line, secret } = yield* authority;
    const settings = { trusted_user_ca_keys: [line] };
    const stranger = yield* certify("-s", `${dir}/other`, "-n", "alice", ...year);
    assert.equal(yield* login(withAlice(), settings, present(stranger, secret)), "Refused");
    const good = yield* certify("-n", "alice", ...year);
    assert.equal(yield* login(withAlice(), settings, present(good, secret)), "Accepted");
    const thief = generateKeyPairSync("ed25519").privateKey;
    assert.equal(yield* login(withAlice(), settings, present(good, thief)), "Refused");
    for (let at = 0; at < good.length; at += 11) {
      const changed = Uint8Array.from(good);
      changed[at]! ^= 1;
      assert.equal(
        yield* login(withAlice(), settings, present(changed, secret)),
        "Refused",
        `${at}`,
      );
      assert.equal(
        yield* login(withAlice(), settings, present(good.subarray(0, at), secret)),
        "Refused",
      );
    }
    const unknown = new World();
    assert.equal(yield* login(unknown, settings, present(good, secret)), "Refused");
  }));

it("SSH-11: an authority that signs with SHA-1 is refused, with SHA-2 it is trusted", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const { dir, certify, secret } = yield* authority;
    yield* Effect.promise(() =>
      keygen("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", `${dir}/rsa`)
    );
    const line = (yield* Effect.promise(() => Deno.readTextFile(`${dir}/rsa.pub`))).trim();
    const settings = { trusted_user_ca_keys: [line] };
    const make = (type: string) => certify("-s", `${dir}/rsa`, "-t", type, "-n", "alice", ...year);
    for (const type of ["rsa-sha2-256", "rsa-sha2-512"]) {
      assert.equal(
        yield* login(withAlice(), settings, present(yield* make(type), secret)),
        "Accepted",
        type,
      );
    }
    // OpenSSH no longer makes these, so the signature is put on here.
    const blob = Buffer.from(yield* make("rsa-sha2-512"));
    const end = blob.length - (4 + 4 + "rsa-sha2-512".length + 4 + 256);
    const body = blob.subarray(0, end);
    const rsa = createPrivateKey(yield* Effect.promise(() => Deno.readTextFile(`${dir}/rsa`)));
    const weak = Buffer.concat([wireString("ssh-rsa"), wireString(sign("sha1", body, rsa))]);
    const forged = Buffer.concat([body, wireString(weak)]);
    assert.equal(yield* login(withAlice(), settings, present(forged, secret)), "Refused");
  }));

it("SSH-12: a revoked key, or its authority, is refused as soon as the file says so", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const { certify, line, secret, key } = yield* authority;
    const settings = { trusted_user_ca_keys: [line], revoked_user_certs_file: "revoked.json" };
    const shown = present(yield* certify("-n", "alice", ...year), secret);
    const world = withAlice();
    world.files.set("revoked.json", "[]");
    yield* Effect.gen(function* () {
      const identity = yield* Identity;
      const outcome = Effect.gen(function* () {
        const attempt = yield* identity.begin({ ip: "10.1.2.3", protocol: "SSH", sessionId: "s" });
        return (yield* attempt.publicKey("alice", shown))._tag;
      });
      assert.equal(yield* outcome, "Accepted");
      for (const print of [fingerprint(key), fingerprint(blobOf(line))]) {
        world.files.set("revoked.json", JSON.stringify([print]));
        assert.equal(yield* outcome, "Refused");
        assert.match(world.events.at(-1)!.message!, /revoked/);
      }
      for (const broken of ["", "{}", '["MD5:x"]']) {
        world.files.set("revoked.json", broken);
        assert.equal(yield* outcome, "Refused", `unreadable list: ${broken}`);
      }
      world.files.delete("revoked.json");
      assert.equal(yield* outcome, "Refused", "list is gone");
      world.files.set("revoked.json", JSON.stringify([`SHA256:${"A".repeat(43)}`]));
      assert.equal(yield* outcome, "Accepted");
    }).pipe(Effect.provide(world.layer({ sftpd: settings })));
  }));

it("a wrong authority or revocation list stops the start, and every problem is named", () =>
  Effect.gen(function* () {
    const world = new World();
    world.files.set("cas", "ssh-dss AAAA\nnonsense\n");
    world.files.set("revoked.json", "nonsense");
    const sftpd = {
      trusted_user_ca_keys: ["cas", "missing"],
      revoked_user_certs_file: "revoked.json",
    };
    const exit = yield* Effect.exit(Effect.scoped(Layer.build(world.layer({ sftpd }))));
    assert.ok(Exit.isFailure(exit) && exit.cause._tag === "Fail");
    assert.equal(exit.cause.error.problems.length, 4, exit.cause.error.message);
  }));
