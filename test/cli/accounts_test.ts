import assert from "node:assert/strict";
import { folder, type Ran, sluice } from "./process.ts";

/** A fresh ed25519 public key as a line (RFC 8709 section 4). */
const newKey = async (): Promise<string> => {
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const name = new TextEncoder().encode("ssh-ed25519");
  const blob = Uint8Array.from([0, 0, 0, name.length, ...name, 0, 0, 0, raw.length, ...raw]);
  return `ssh-ed25519 ${btoa(String.fromCharCode(...blob))} anna@host`;
};

/** One line on stderr, and this code. */
const refused = (ran: Ran, code: number, said: RegExp) => {
  assert.equal(ran.code, code, ran.err);
  assert.equal(ran.err.trim().split("\n").length, 1, ran.err);
  assert.match(ran.err, said);
};

Deno.test("sluice user keeps accounts: add, show, list, update, keys, passwd, remove", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  const added = await sluice([
    ...[
      "user",
      "add",
      "anna",
      "--password-stdin",
      "--public-key",
      await newKey(),
      "--json",
      ...data,
    ],
    ...[
      "--quota-size",
      "10M",
      "--permissions",
      "list,download",
      "--permissions",
      "/in=upload,list",
    ],
  ], { stdin: "s3cret pass\n" });
  assert.equal(added.code, 0, added.err);
  assert.ok(!/argon2|s3cret/.test(added.out), "no hash, no password");
  const user = JSON.parse(added.out);
  assert.equal(user.has_password, true);
  assert.equal(user.quota_size, 10 * 1024 * 1024);
  assert.equal(user.home_dir, `${dir.path}/users/anna`);
  assert.deepEqual(user.permissions, { "/": ["list", "download"], "/in": ["upload", "list"] });

  refused(await sluice(["user", "add", "anna", ...data]), 4, /"anna" exists already/);
  refused(
    await sluice(["user", "add", "ben", "--public-key", "ssh-ed25519 AAAAbad", ...data]),
    2,
    /public_keys\[0\]/,
  );
  refused(
    await sluice(["user", "add", "ben", "--permissions", "list,downlod", ...data]),
    2,
    /did you mean download/,
  );
  refused(
    await sluice(["user", "add", "ben", "--home", `${dir.path}/sluice.db/home`, ...data]),
    2,
    /sluice\.db is not a folder; choose another/,
  );
  refused(await sluice(["user", "show", "ben", ...data]), 3, /no user "ben"/);

  const updated = await sluice([
    "user",
    "update",
    "anna",
    "--max-sessions",
    "3",
    "--json",
    ...data,
  ]);
  assert.equal(JSON.parse(updated.out).max_sessions, 3);
  assert.equal(JSON.parse(updated.out).quota_size, 10 * 1024 * 1024);
  assert.equal(JSON.parse(updated.out).has_password, true);

  const list = await sluice(["user", "list", ...data]);
  assert.match(list.out, /^USER +STATUS +USED +QUOTA .*\nanna +enabled +0 B +10\.0 MiB/);
  const removedKey = await sluice(["user", "keys", "anna", "remove", "1", "--json", ...data]);
  assert.deepEqual(JSON.parse(removedKey.out), []);
  const passwd = await sluice(["user", "passwd", "anna", ...data]);
  refused(passwd, 2, /--password-stdin/);
  const totp = await sluice(["user", "totp", "anna", "enable", "--json", ...data]);
  assert.match(JSON.parse(totp.out).url, /^otpauth:\/\/totp\//);
  assert.equal((await sluice(["user", "remove", "anna", ...data])).code, 0);
  refused(await sluice(["user", "remove", "anna", ...data]), 3, /anna/);

  const events = await sluice(["events", "--kind", "provider", "--json", ...data]);
  assert.deepEqual(
    events.out.trim().split("\n").map((line) => JSON.parse(line).action),
    [
      "provider.add",
      ...Array(events.out.trim().split("\n").length - 2).fill("provider.update"),
      "provider.delete",
    ],
  );
});

Deno.test("sluice admin keeps administrators, and never without a password", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  refused(await sluice(["admin", "add", "root", ...data]), 2, /password is needed/);
  const added = await sluice(["admin", "add", "root", "--password-stdin", "--json", ...data], {
    stdin: "correct horse",
  });
  assert.equal(added.code, 0, added.err);
  assert.deepEqual(JSON.parse(added.out).permissions, ["*"]);
  assert.ok(!/argon2|horse/.test(added.out));
  refused(
    await sluice(["admin", "add", "root", "--password-stdin", ...data], { stdin: "x" }),
    4,
    /exists already/,
  );
  assert.match((await sluice(["admin", "list", ...data])).out, /^ADMIN .*\nroot +enabled +\*/);
});

Deno.test("sluice user add takes a whole API object, and names what is wrong in it", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  const whole = {
    username: "carl",
    permissions: { "/": ["list"] },
    quota_files: 7,
    email: "c@x.org",
  };
  const added = await sluice(["user", "add", "carl", "--json-input", "-", "--json", ...data], {
    stdin: JSON.stringify(whole),
  });
  assert.equal(added.code, 0, added.err);
  assert.equal(JSON.parse(added.out).quota_files, 7);
  const bad = await sluice(["user", "add", "dora", "--json-input", "-", ...data], {
    stdin: JSON.stringify({ username: "dora", permissions: { "/": ["fly"] }, quota_size: "big" }),
  });
  assert.equal(bad.code, 2);
  assert.match(bad.err, /quota_size/);
  assert.match(bad.err, /permissions/);
});
