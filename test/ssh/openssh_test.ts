import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Effect, type Scope } from "effect";
import { chooseAlgorithms } from "../../adapters/ssh/algorithms.ts";
import { ConfigSchema } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { Schema } from "effect";
import { live, tempDir } from "../harness.ts";
import { sshd } from "./support.ts";

interface Result {
  readonly code: number;
  readonly out: Uint8Array;
  readonly errors: string;
}

const run = (program: string, args: ReadonlyArray<string>, input?: Uint8Array) =>
  Effect.promise(async (): Promise<Result> => {
    const child = new Deno.Command(program, {
      args: [...args],
      stdin: input ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const fed = input && child.stdin
      ? new Blob([input.slice()]).stream().pipeTo(child.stdin).catch(() => {})
      : undefined;
    const { code, stdout, stderr } = await child.output();
    await fed;
    return { code, out: stdout, errors: new TextDecoder().decode(stderr) };
  });

/** An OpenSSH client key, and a function that runs `ssh` with it. */
const openssh = (
  port: number,
): Effect.Effect<
  (options: ReadonlyArray<string>, input?: Uint8Array, command?: string) => Effect.Effect<Result>,
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    yield* run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/id`]);
    const fixed = ["-F", "none", "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-i"];
    return (options, input, command = "echo") => {
      const trust = options.some((option) => option.startsWith("UserKnownHostsFile"))
        ? []
        : ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no"];
      const where = ["-p", String(port), "u@127.0.0.1", command];
      return run("ssh", [...fixed, `${dir}/id`, ...trust, ...options, ...where], input);
    };
  });

const lists = chooseAlgorithms(Schema.decodeUnknownSync(ConfigSchema)({}).sftpd);
if (lists instanceof ConfigError) throw lists;
const HELLO = new TextEncoder().encode("hello\n");

live(
  "SECURITY 6 (15): every offered algorithm works with the OpenSSH client",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const ssh = yield* openssh(server.port);
      const plainKeys = lists.serverHostKey.filter((name) => !/cert|nistp384|nistp521/.test(name));
      const cases = [
        ...lists.kex.map((name) => `KexAlgorithms=${name}`),
        ...plainKeys.map((name) => `HostKeyAlgorithms=${name}`),
        ...lists.cipher.map((name) => `Ciphers=${name}`),
      ].map((option) => ["-o", option]);
      for (const mac of lists.mac) cases.push(["-o", "Ciphers=aes128-ctr", "-o", `MACs=${mac}`]);
      for (const options of cases) {
        const { code, out, errors } = yield* ssh(options, HELLO);
        assert.equal(new TextDecoder().decode(out), "hello\n", `${options.join(" ")}: ${errors}`);
        assert.equal(code, 7);
      }
    }),
);

live(
  "SECURITY 6 (15): what is not offered fails cleanly, and the server goes on",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const ssh = yield* openssh(server.port);
      const refused = [
        "KexAlgorithms=ecdh-sha2-nistp521",
        "KexAlgorithms=diffie-hellman-group-exchange-sha256",
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "KexAlgorithms=sntrup761x25519-sha512@openssh.com",
        "HostKeyAlgorithms=ssh-rsa",
        "Ciphers=aes128-cbc",
        "Ciphers=3des-cbc",
      ].map((option) => ["-o", option]);
      refused.push(["-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha1"]);
      refused.push(["-o", "Ciphers=aes128-ctr", "-o", "MACs=umac-64@openssh.com"]);
      for (const options of refused) {
        const { code, errors } = yield* ssh(options, HELLO);
        assert.equal(code, 255);
        assert.match(errors, /no matching/, options.join(" "));
      }
      assert.equal((yield* ssh([], HELLO)).code, 7);
    }),
);

live(
  "SECURITY 3.1 (11, 13), SSH-16: compression is never negotiated",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const ssh = yield* openssh(server.port);
      const { code, errors } = yield* ssh(["-v", "-o", "Compression=yes"], HELLO);
      assert.equal(code, 7);
      assert.match(errors, /compression: none/);
    }),
);

live(
  "SECURITY 3.1 (6): a client limited to rsa-sha2-512 or ecdsa-521 logs in, one to ssh-rsa does not",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const ssh = yield* openssh(server.port);
      const dir = yield* tempDir;
      yield* run("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", `${dir}/rsa`]);
      yield* run("ssh-keygen", ["-q", "-t", "ecdsa", "-b", "521", "-N", "", "-f", `${dir}/ec`]);
      const only = (file: string, algorithm: string) =>
        ssh([
          "-o",
          "IdentitiesOnly=yes",
          "-i",
          `${dir}/${file}`,
          "-o",
          `PubkeyAcceptedAlgorithms=${algorithm}`,
        ], HELLO);
      assert.equal((yield* only("rsa", "rsa-sha2-512")).code, 7);
      assert.equal(server.seen.keys.at(-1)?.algorithm, "rsa-sha2-512");
      assert.equal((yield* only("ec", "ecdsa-sha2-nistp521")).code, 7);
      assert.equal((yield* only("rsa", "ssh-rsa")).code, 255);
    }),
);

live(
  "SECURITY 3.1 (15): RekeyLimit=1M works with every cipher, both ways",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ sftpd: { rekey_bytes: 1_500_000 } });
      const ssh = yield* openssh(server.port);
      const input = new Uint8Array(8 * 1024 * 1024);
      for (let at = 0; at < input.length; at += 65536) {
        crypto.getRandomValues(input.subarray(at, at + 65536));
      }
      for (const cipher of lists.cipher) {
        const { code, out, errors } = yield* ssh(["-o", "RekeyLimit=1M", "-c", cipher], input);
        assert.equal(code, 7, `${cipher}: ${errors}`);
        assert.ok(Buffer.from(out).equals(Buffer.from(input)), cipher);
      }
    }),
);

live(
  "SECURITY 6 (19): shell, pty, forwarding, X11 and agent are refused to OpenSSH",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const ssh = yield* openssh(server.port);
      for (const command of ["sh", "rsync --server", "$(id)"]) {
        assert.equal((yield* ssh([], HELLO, command)).code, 255, command);
      }
      const forwarded = yield* ssh(
        ["-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"],
        HELLO,
      );
      assert.equal(forwarded.code, 255);
      assert.match(forwarded.errors, /forward/);
      assert.match((yield* ssh(["-W", "127.0.0.1:22"])).errors, /prohibited/);
      assert.equal((yield* ssh(["-A", "-X"], HELLO)).code, 7);
    }),
);

live(
  "SSH-06: OpenSSH accepts host certificates of every key type by their authority alone",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/ca`]);
      const kinds = [
        ["ed25519", "ssh-ed25519"],
        ["ecdsa", "ecdsa-sha2-nistp256"],
        ["rsa", "rsa-sha2-512"],
        ["rsa", "rsa-sha2-256"],
      ] as const;
      for (const kind of ["ed25519", "ecdsa", "rsa", "other"]) {
        const file = `${dir}/id_${kind}`;
        const type = kind === "other" ? "ed25519" : kind;
        yield* run("ssh-keygen", ["-q", "-t", type, "-N", "", "-f", file]);
        const sign = [
          "-q",
          "-s",
          `${dir}/ca`,
          "-I",
          "host",
          "-h",
          "-n",
          "127.0.0.1",
          `${file}.pub`,
        ];
        yield* run("ssh-keygen", sign);
      }
      const ca = Deno.readTextFileSync(`${dir}/ca.pub`);
      Deno.writeTextFileSync(`${dir}/known`, `@cert-authority [127.0.0.1]:* ${ca}`);
      const server = yield* sshd({
        dataDir: dir,
        sftpd: {
          host_certificates: ["ed25519", "ecdsa", "rsa", "other"].map((k) => `id_${k}-cert.pub`),
        },
      });
      const ssh = yield* openssh(server.port);
      for (const [, algorithm] of kinds) {
        const { code, errors } = yield* ssh([
          "-o",
          `UserKnownHostsFile=${dir}/known`,
          "-o",
          "StrictHostKeyChecking=yes",
          "-o",
          `HostKeyAlgorithms=${algorithm}-cert-v01@openssh.com`,
        ], HELLO);
        assert.equal(code, 7, `${algorithm}: ${errors}`);
      }
    }),
);
