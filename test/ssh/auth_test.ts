import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Effect } from "effect";
import { Fields, Message, packet } from "../../adapters/ssh/wire.ts";
import type { Login } from "../../src/identity/identity.ts";
import { live } from "../harness.ts";
import { authRequest, logIn, plainSocket, rawClient, requestAuth } from "./raw_client.ts";
import { PASSWORD, sshd } from "./support.ts";

const later = <A>(promise: Promise<A>) => Effect.promise(() => promise);
const never: Login["password"] = () => Effect.never;

for (const message of [51, 52, 90, 98]) {
  live(
    `SECURITY 3.1 (1): message ${message} while a login is being decided ends only that client`,
    () =>
      Effect.gen(function* () {
        const server = yield* sshd({ login: (login) => ({ ...login, password: never }) });
        const client = yield* rawClient(server.port);
        yield* later(requestAuth(client));
        client.send(authRequest("u", "password", false, PASSWORD));
        client.send(packet(message));
        yield* later(client.closed);
        const other = yield* rawClient(server.port);
        yield* later(requestAuth(other));
        other.send(authRequest("u", "none"));
        assert.equal((yield* later(other.next()))[0], Message.AuthFailure);
      }),
  );
}

live(
  "SECURITY 3.1 (2): an exception in a login step is a refusal, never a login",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({
        login: (login) => ({ ...login, publicKey: () => Effect.die(new Error("verify threw")) }),
      });
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.send(authRequest("u", "publickey", true, "ssh-ed25519", "blob", "signature"));
      yield* later(client.closed);
      assert.ok(!client.all.some((payload) => payload[0] === Message.AuthSuccess));
      assert.equal(server.seen.events.length, 0);
    }),
);

live(
  "SECURITY 3.1 (3): a key without a signature is answered PK_OK with the algorithm asked for",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.send(authRequest("u", "publickey", false, "rsa-sha2-512", "the blob"));
      const answer = yield* later(client.next());
      assert.equal(answer[0], Message.AuthPkOk);
      const fields = new Fields(answer, 1);
      assert.deepEqual([fields.text(), fields.text()], ["rsa-sha2-512", "the blob"]);
      client.send(packet(Message.ChannelOpen, "session", 0, 1000, 1000));
      yield* later(client.closed);
    }),
);

live(
  "Identity gets the raw signature and the signed bytes of certificates and security keys",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      const algorithm = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com";
      const signature = Buffer.concat([
        Buffer.from([0, 0, 0, 1]),
        Buffer.from("x and the rest \x01\x00"),
      ]);
      const request = authRequest("u", "publickey", true, algorithm, "cert blob");
      client.send(Buffer.concat([request, Buffer.from([0, 0, 0, signature.length]), signature]));
      assert.equal((yield* later(client.next()))[0], Message.AuthSuccess);
      const [key] = server.seen.keys;
      assert.equal(key?.algorithm, algorithm);
      assert.deepEqual(Buffer.from(key?.signature ?? []), signature);
      const id = client.proto._kex.sessionID;
      const length = Buffer.from([0, 0, 0, id.length]);
      assert.deepEqual(Buffer.from(key?.signed ?? []), Buffer.concat([length, id, request]));
    }),
);

live(
  "SECURITY 3.1 (4): a password change request is a wrong try, whatever it carries",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.send(authRequest("u", "password", true, PASSWORD, "new"));
      assert.equal((yield* later(client.next()))[0], Message.AuthFailure);
      assert.deepEqual(server.seen.passwords, [""]);
    }),
);

live(
  "SECURITY 3.1 (6): ssh-rsa, ssh-dss and hostbased never reach Identity",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      for (const algorithm of ["ssh-rsa", "ssh-dss", "made-up"]) {
        client.send(authRequest("u", "publickey", true, algorithm, "blob", "signature"));
        assert.equal((yield* later(client.next()))[0], Message.AuthFailure);
      }
      client.send(authRequest("u", "hostbased", "ssh-ed25519", "blob", "host", "user", "sig"));
      assert.equal((yield* later(client.next()))[0], Message.AuthFailure);
      assert.equal(server.seen.keys.length, 0);
    }),
);

live(
  "SECURITY 3.1 (7): server-sig-algs names each algorithm once, and no SHA-1",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      const info = client.all.find((payload) => payload[0] === Message.ExtInfo);
      assert.ok(info, "no EXT_INFO");
      const fields = new Fields(info, 1);
      assert.deepEqual([fields.uint32(), fields.text()], [1, "server-sig-algs"]);
      const names = fields.text().split(",");
      for (const name of ["rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp521", "ssh-ed25519"]) {
        assert.ok(names.includes(name), name);
        assert.ok(names.includes(`${name}-cert-v01@openssh.com`), name);
      }
      assert.ok(names.includes("sk-ssh-ed25519@openssh.com"));
      assert.ok(!names.includes("ssh-rsa") && !names.includes("ssh-dss"));
      assert.equal(new Set(names).size, names.length);
    }),
);

live(
  "SECURITY 3.1 (8): the client is cut when Identity says that its tries are used up",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      for (let attempt = 0; attempt < 6; attempt++) {
        client.send(authRequest("u", "password", false, `wrong ${attempt}`));
      }
      yield* later(client.closed);
      assert.equal(server.seen.passwords.length, 6);
      assert.deepEqual(server.seen.passwords.map((p) => p.at(-1)), ["0", "1", "2", "3", "4", "5"]);
    }),
);

live(
  "SECURITY 3.1 (8): a flood of login requests ends the connection",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ login: (login) => ({ ...login, password: never }) });
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      for (let sent = 0; sent < 20; sent++) client.send(authRequest("u", "password", false, "x"));
      yield* later(client.closed);
    }),
);

live(
  "SECURITY 3.1 (8), SSH-04: login grace cuts clients that send nothing, and all of them at once",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({
        sftpd: { login_grace: 2, max_startups: 0 },
        common: { max_per_host_connections: 0 },
      });
      const idle = yield* Effect.forEach(Array(100), () => plainSocket(server.port), {
        concurrency: 20,
      });
      yield* Effect.forEach(idle, ({ closed }) => later(closed), { concurrency: "unbounded" });
      assert.equal(server.seen.abandoned, 100);
      yield* later(logIn(yield* rawClient(server.port)));
    }),
);

live("keyboard-interactive asks, takes the answers and logs in", () =>
  Effect.gen(function* () {
    const server = yield* sshd();
    const client = yield* rawClient(server.port);
    yield* later(requestAuth(client));
    client.send(authRequest("u", "keyboard-interactive", "", ""));
    const asked = new Fields(yield* later(client.next()), 1);
    assert.deepEqual([asked.text(), asked.text(), asked.text(), asked.uint32()], ["", "", "", 2]);
    assert.deepEqual([asked.text(), asked.flag()], ["Password: ", false]);
    assert.deepEqual([asked.text(), asked.flag()], ["Colour: ", true]);
    client.send(packet(Message.AuthInfoResponse, 2, PASSWORD, "blue"));
    assert.equal((yield* later(client.next()))[0], Message.AuthSuccess);
  }));

live(
  "a new request while prompts are open replaces them without an answer to the old one",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.send(authRequest("u", "keyboard-interactive", "", ""));
      assert.equal((yield* later(client.next()))[0], Message.AuthInfoRequest);
      client.send(authRequest("u", "password", false, PASSWORD));
      assert.equal((yield* later(client.next()))[0], Message.AuthSuccess);
    }),
);

live(
  "a prompt answered with the wrong number of answers is a refusal",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.send(authRequest("u", "keyboard-interactive", "", ""));
      yield* later(client.next());
      client.send(packet(Message.AuthInfoResponse, 0));
      assert.equal((yield* later(client.next()))[0], Message.AuthFailure);
      client.send(packet(Message.AuthInfoResponse, 0xffffffff));
      client.send(authRequest("u", "password", false, PASSWORD));
      assert.equal((yield* later(client.next()))[0], Message.AuthSuccess);
    }),
);

live(
  "a malformed login request ends the connection and nothing else",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      for (const bad of [packet(50), packet(50, "u"), authRequest("u", "password"), packet(61)]) {
        const client = yield* rawClient(server.port);
        yield* later(requestAuth(client));
        client.send(bad);
        yield* later(client.closed);
      }
      yield* later(logIn(yield* rawClient(server.port)));
    }),
);

live("SSH-10: the banner is shown before login", () =>
  Effect.gen(function* () {
    const server = yield* sshd({ sftpd: { banner: "Members only" } });
    const client = yield* rawClient(server.port);
    yield* later(requestAuth(client));
    const banner = new Fields(yield* later(client.next()), 1);
    assert.equal(banner.text(), "Members only\r\n");
  }));

live(
  "SSH-09: the identification names the version, or not, as configured",
  () =>
    Effect.gen(function* () {
      for (
        const [setting, pattern] of [["full", /^SSH-2.0-Sluice_\d/], [
          "short",
          /^SSH-2.0-Sluice\r\n/,
        ]] as const
      ) {
        const server = yield* sshd({ sftpd: { server_version: setting } });
        const { text } = yield* plainSocket(server.port);
        while (!text().includes("\n")) yield* Effect.sleep("5 millis");
        assert.match(text(), pattern);
      }
    }),
);
