import assert from "node:assert/strict";
import { keyKinds, keyOf, password, serveAll, w } from "./auth_world.ts";
import { makeKey, publicKey, ssh, type Target } from "./clients.ts";
import { addUser } from "./server.ts";

serveAll();

for (const [name] of keyKinds) {
  Deno.test(`Must show 3b: OpenSSH logs in with ${name}`, async () => {
    const target: Target = { port: w().server.port, user: "kinds", key: keyOf(name) };
    const { code, stderr } = await ssh(target, ["pwd"]);
    assert.equal(code, 0, stderr);
  });
}

for (const algorithm of ["rsa-sha2-256", "rsa-sha2-512"]) {
  Deno.test(`Must show 3b: an RSA key logs in when the client may only use ${algorithm}`, async () => {
    const target: Target = { port: w().server.port, user: "kinds", key: keyOf("rsa3072") };
    const { code, stderr } = await ssh(target, ["pwd"], [
      "-o",
      `PubkeyAcceptedAlgorithms=${algorithm}`,
    ]);
    assert.equal(code, 0, stderr);
  });
}

Deno.test("Must show 3b: an RSA key with SHA-1 is refused", async () => {
  const target: Target = { port: w().server.port, user: "kinds", key: keyOf("rsa3072") };
  const { code } = await ssh(target, ["pwd"], ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]);
  assert.notEqual(code, 0);
});

Deno.test("Must show 3b: weak and broken keys cannot be given to a user", async () => {
  const { dir, server } = w();
  const weak = await makeKey(dir, "rsa1024", "-t", "rsa", "-b", "1024");
  for (const line of [await publicKey(weak), "ssh-ed25519 AAAA", "hello"]) {
    await assert.rejects(
      addUser(server.dataDir, { username: "weak", public_keys: [line] }),
      /exit [124]/,
      line,
    );
  }
  assert.equal((await server.sluice("user", "show", "weak")).code, 3);
});

Deno.test("Must show 3b: OpenSSH logs in with password, keyboard-interactive and both steps", async () => {
  const { server } = w();
  const pw: Target = { port: server.port, user: "pw", password };
  for (const method of ["password", "keyboard-interactive"]) {
    const { code, stderr } = await ssh(pw, ["pwd"], ["-o", `PreferredAuthentications=${method}`]);
    assert.equal(code, 0, `${method}: ${stderr}`);
    const wrong = await ssh({ ...pw, password: "wrong" }, ["pwd"], [
      ...["-o", `PreferredAuthentications=${method}`, "-o", "NumberOfPasswordPrompts=1"],
    ]);
    assert.notEqual(wrong.code, 0);
  }
  for (const user of ["keypw", "keykbd"]) {
    const both: Target = { port: server.port, user, key: keyOf("ed25519"), password };
    const { code, stderr } = await ssh(both, ["pwd"]);
    assert.equal(code, 0, `${user}: ${stderr}`);
  }
});
