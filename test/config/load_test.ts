import assert from "node:assert/strict";
import { Either } from "effect";
import { load, type Sources } from "../../src/config/load.ts";
import { rows } from "../../src/config/show.ts";

const from = (text: string | undefined, rest: Partial<Sources> = {}) =>
  load({
    env: {},
    flags: [],
    ...(text === undefined ? {} : { file: { path: "/d/sluice.json", text } }),
    ...rest,
  });

const problems = (text: string | undefined, rest: Partial<Sources> = {}): string[] => {
  const loaded = from(text, rest);
  assert.ok(Either.isLeft(loaded), "should be refused");
  return loaded.left.problems.map((p) => `${p.where}: ${p.what}`);
};

Deno.test("load() answers the documented defaults when nothing is set", () => {
  const { settings, origins } = Either.getOrThrow(from(undefined));
  assert.equal(settings.sftpd.bindings[0]?.port, 2022);
  assert.equal(settings.common.max_per_host_connections, 20);
  assert.equal(settings.common.upload_mode, 1);
  assert.equal(origins.size, 0);
});

Deno.test("load() names every problem at once, with the nearest known key", () => {
  const text = JSON.stringify({
    umask: "022",
    common: { grace_tim: 3, fsync: "yes", umask: "9" },
    sftpd: { bindings: [{ port: "a" }], server_version: "loud" },
    telemetry: 4,
  });
  assert.deepEqual(problems(text).sort(), [
    'common.fsync (/d/sluice.json): must be true or false, not "yes"',
    "common.grace_tim (/d/sluice.json): unknown setting; did you mean common.grace_time?",
    'common.umask (/d/sluice.json): must be up to four octal digits, not "9"',
    'sftpd.bindings.0.port (/d/sluice.json): must be a number, not "a"',
    'sftpd.server_version (/d/sluice.json): must be "full" or "short", not "loud"',
    "telemetry (/d/sluice.json): must be an object { ... }, not 4",
    "umask (/d/sluice.json): unknown setting; did you mean common.umask?",
  ]);
});

Deno.test("load() gives line and column when the file is not JSON", () => {
  assert.match(problems('{\n  "log": {},\n}')[0] ?? "", /^\/d\/sluice\.json:3:1: not valid JSON/);
  assert.match(problems('{ "log": "x')[0] ?? "", /^\/d\/sluice\.json:1:12: not valid JSON/);
  assert.match(problems("[]")[0] ?? "", /must hold a JSON object/);
});

Deno.test("CFG-02: load() lets the environment override the file, by nesting, comma and index", () => {
  const { settings, origins } = Either.getOrThrow(from(
    '{"common":{"grace_time":5},"sftpd":{"bindings":[{"address":"127.0.0.1","port":1}]}}',
    {
      env: {
        HOME: "/root",
        SLUICE_COMMON__GRACE_TIME: "7",
        SLUICE_COMMON__FSYNC: "false",
        SLUICE_SFTPD__CIPHERS: "a, b",
        SLUICE_SFTPD__BINDINGS__0__PORT: "2222",
        SLUICE_TELEMETRY__BINDINGS: "[]",
        SLUICE_ADMIN_USERNAME: "root",
      },
    },
  ));
  assert.equal(settings.common.grace_time, 7);
  assert.equal(settings.common.fsync, false);
  assert.deepEqual(settings.sftpd.ciphers, ["a", "b"]);
  assert.deepEqual(settings.sftpd.bindings, [{ address: "127.0.0.1", port: 2222 }]);
  assert.deepEqual(settings.telemetry.bindings, []);
  assert.equal(origins.get("common.grace_time"), "SLUICE_COMMON__GRACE_TIME");
  assert.equal(origins.get("sftpd.bindings.0.port"), "SLUICE_SFTPD__BINDINGS__0__PORT");
});

Deno.test("load() refuses unknown and ill-typed variables by their own names", () => {
  assert.deepEqual(
    problems(undefined, {
      env: { SLUICE_COMMON__GRACE_TIM: "1", SLUICE_COMMON__FSYNC: "maybe", SLUICE_LOG__LEVEL: "x" },
    }),
    [
      "SLUICE_COMMON__GRACE_TIM: unknown setting; did you mean SLUICE_COMMON__GRACE_TIME?",
      'SLUICE_COMMON__FSYNC: must be true or false, not "maybe"',
      'SLUICE_LOG__LEVEL: must be "debug" or "info" or "warn" or "error", not "x"',
    ],
  );
});

Deno.test("load() lets flags override the environment", () => {
  const { settings, origins } = Either.getOrThrow(from(undefined, {
    env: { SLUICE_LOG__LEVEL: "warn" },
    flags: [{ flag: "--log-level", key: ["log", "level"], value: "debug" }],
  }));
  assert.equal(settings.log.level, "debug");
  assert.equal(origins.get("log.level"), "--log-level");
});

Deno.test("rows() redacts secrets and names each value's source", () => {
  const { settings, origins } = Either.getOrThrow(from(
    '{"data_provider":{"auth_token":"hunter2","url":"libsql://u:pw@h?authToken=zzz"}}',
  ));
  const shown = rows(settings, origins);
  assert.ok(!/hunter2|pw@|zzz/.test(JSON.stringify(shown)));
  assert.deepEqual(shown.find((r) => r.key === "data_provider.auth_token"), {
    key: "data_provider.auth_token",
    value: "[redacted]",
    source: "/d/sluice.json",
  });
  assert.equal(shown.find((r) => r.key === "common.umask")?.source, "default");
});
