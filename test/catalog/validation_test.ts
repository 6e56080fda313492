import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import fc from "fast-check";
import { checkUser } from "../../src/model/check_user.ts";
import { checkAdmin } from "../../src/model/check_admin.ts";
import { checkPassword, entropy } from "../../src/model/check_password.ts";
import { adminToJson, userToJson } from "../../src/model/json.ts";
import { canonicalName, nameProblem } from "../../src/model/names.ts";
import { decodeAdmin, decodeUser } from "../../src/model/problems.ts";
import { live, tempDir } from "../harness.ts";
import { openIn, operator, settings, user } from "./world.ts";

const config = settings("/srv/sluice");
const key =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@here";

/** All problems of a user, from reading it to its rules. */
const problems = (more: Record<string, unknown>, at = config): ReadonlyArray<string> => {
  const json = { username: "anna", permissions: { "/": ["*"] }, ...more };
  return Either.match(decodeUser(json), {
    onLeft: (found) => found,
    onRight: (input) => checkUser(input, at).problems,
  });
};

const anyName = 1;
for (
  const name of [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "a\0b",
    "a\nb",
    "a\u200bb",
    "a\u202eb",
    "bob.",
    "bob ",
    " bob",
    "a:b",
    "a*",
    "a?",
    'a"b',
    "a<b",
    "a|b",
    "NUL",
    "con.txt",
    "COM1",
    "é".repeat(128),
    "\ud800",
    "__self__",
    "__SYSTEM__",
  ]
) {
  Deno.test(`FS-20, CVE-2026-30915: the name ${JSON.stringify(name).slice(0, 30)} is refused`, () => {
    assert.equal(typeof nameProblem(name, anyName), "string");
    const at = settings("/srv/sluice", { naming_rules: anyName });
    const [first] = problems({ username: name }, at);
    assert.match(first ?? "", /^username: /);
  });
}

Deno.test("FS-20: ordinary names are taken", () => {
  for (
    const name of ["anna", "anna.b", "a@b.example", "Zoë", "名前", "o'brien", "a;b", "...a", "-x"]
  ) {
    assert.equal(nameProblem(name, anyName), undefined, name);
  }
});

Deno.test("DB-12: canonicalName() trims and lowers as the rules say", () => {
  assert.equal(canonicalName(" Anna ", 1), " Anna ");
  assert.equal(canonicalName(" Anna ", 2), " anna ");
  assert.equal(canonicalName(" Anna ", 5), "Anna");
  assert.equal(typeof nameProblem("Zoë", 0), "string");
  assert.equal(nameProblem("a.b_c-d~1", 0), undefined);
});

for (
  const [more, expected] of [
    [{ color: "red" }, "color: unknown field"],
    [{ filters: { colour: 1 } }, "filters.colour: unknown field"],
    [{ status: 2 }, "status: "],
    [{ quota_size: -1 }, "quota_size: "],
    [{ quota_size: 2 ** 60 }, "quota_size: "],
    [{ quota_files: 1.5 }, "quota_files: "],
    [{ uid: 2 ** 31 }, "uid: "],
    [{ email: "not an address" }, "email: "],
    [{ filters: { additional_emails: ["a@b", "x"] } }, "filters.additional_emails[1]: "],
    [{ permissions: {} }, 'permissions["/"]: at least one'],
    [{ permissions: { "/": [] } }, 'permissions["/"]: at least one'],
    [{ permissions: { "/a": ["*"] } }, 'permissions["/"]: at least one'],
    [{ permissions: { "/": ["*"], "a": ["list"] } }, 'permissions["a"]: '],
    [{ permissions: { "/": ["*"], "//": ["list"] } }, 'permissions["//"]: means `/`'],
    [{ permissions: { "/": ["*"], "/a/..": ["list"] } }, 'permissions["/a/.."]: means `/`'],
    [{ permissions: { "/": ["*"], "/a": [], "/a/": [] } }, 'permissions["/a/"]: is the same'],
    [{ permissions: { "/": ["fly"] } }, 'permissions["/"][0]: '],
    [
      { filters: { allowed_ip: ["10.0.0.0/8", "10.0.0.300"] } },
      'filters.allowed_ip[1]: "10.0.0.300" is not an address or network',
    ],
    [{ filters: { denied_ip: ["10.0.0.0/33"] } }, "filters.denied_ip[0]: "],
    [
      { filters: { denied_protocols: ["SSH", "FTP", "DAV", "HTTP"] } },
      "filters.denied_protocols: ",
    ],
    [
      {
        filters: {
          denied_login_methods: [
            "publickey",
            "password",
            "keyboard-interactive",
            "publickey+password",
            "publickey+keyboard-interactive",
            "TLSCertificate",
            "TLSCertificate+password",
          ],
        },
      },
      "filters.denied_login_methods: leaves no way",
    ],
    [
      { filters: { access_time: [{ day_of_week: 1, from: "9:00", to: "25:00" }] } },
      "filters.access_time[0].from: ",
    ],
    [
      { filters: { access_time: [{ day_of_week: 1, from: "10:00", to: "09:00" }] } },
      "filters.access_time[0].to: ",
    ],
    [
      { filters: { access_time: [{ day_of_week: 7, from: "10:00", to: "11:00" }] } },
      "filters.access_time[0].day_of_week: ",
    ],
    [{ filters: { start_directory: "docs" } }, "filters.start_directory: "],
    [{ filters: { tls_certs: ["junk"] } }, "filters.tls_certs[0]: "],
    [
      { filters: { file_patterns: [{ path: "a", denied_patterns: ["*"] }] } },
      "filters.file_patterns[0].path: ",
    ],
    [{ filters: { file_patterns: [{ path: "/a" }] } }, "filters.file_patterns[0]: at least one"],
    [
      { filters: { file_patterns: [{ path: "/a", denied_patterns: ["[a"] }] } },
      "filters.file_patterns[0].denied_patterns[0]: ",
    ],
    [
      {
        filters: {
          file_patterns: [
            { path: "/a", denied_patterns: ["*"] },
            { path: "/a/", denied_patterns: ["x"] },
          ],
        },
      },
      "filters.file_patterns[1].path: has an entry already",
    ],
    [
      { filters: { bandwidth_limits: [{ sources: ["x"] }] } },
      "filters.bandwidth_limits[0].sources[0]: ",
    ],
    [{ public_keys: [key, "ssh-dss AAAA"] }, "public_keys[1]: "],
    [{ home_dir: "relative/home" }, "home_dir: must be an absolute path"],
    [{ home_dir: "/a\0b" }, "home_dir: has a NUL"],
    [{ home_dir: "/" }, "home_dir: holds the server's own data"],
    [{ home_dir: "/srv/sluice/" }, "home_dir: holds the server's own data"],
    [{ filesystem: { provider: 1 } }, "filesystem.provider: 1 is not available yet"],
    [{ groups: [{ name: "a", type: 1 }, { name: "b", type: 1 }] }, "groups: only one"],
    [{ groups: [{ name: "../a", type: 2 }] }, "groups[0].name: "],
    [{ virtual_folders: [{ name: "f", virtual_path: "x" }] }, "virtual_folders[0].virtual_path: "],
  ] as const
) {
  Deno.test(`decodeUser() and checkUser() name the field: ${expected}`, () => {
    const found = problems(more);
    assert.ok(found.some((text) => text.startsWith(expected)), found.join("\n") || "no problem");
  });
}

Deno.test("checkUser() finds every problem at once", () => {
  const found = problems({
    username: "a/b",
    email: "x",
    home_dir: "x",
    filters: { allowed_ip: ["x", "y"] },
    filesystem: { provider: 3 },
  });
  assert.deepEqual(found.map((text) => text.split(":")[0]).sort(), [
    "email",
    "filesystem.provider",
    "filters.allowed_ip[0]",
    "filters.allowed_ip[1]",
    "home_dir",
    "username",
  ]);
});

Deno.test("checkUser() brings paths, patterns and permissions to one form", () => {
  const input = user("anna", {
    home_dir: "/srv/homes//anna/",
    public_keys: [` ${key}\n`.trimEnd()],
    permissions: { "/": ["*", "list"], "/a/": ["list", "list"], "/none": [], "__proto__x": [] },
    filters: { file_patterns: [{ path: "/x/", denied_patterns: ["*.EXE", "[A-Z]?"] }] },
  });
  const { permissions: { __proto__x: _, ...permissions }, ...rest } = input;
  const { user: out, problems: found } = checkUser({ ...rest, permissions }, config);
  assert.deepEqual(found, []);
  assert.equal(out.home_dir, "/srv/homes/anna");
  assert.deepEqual(out.public_keys, [key]);
  assert.deepEqual({ ...out.permissions }, { "/": ["*"], "/a": ["list"], "/none": [] });
  assert.deepEqual(out.filters.file_patterns[0]?.denied_patterns, ["*.exe", "[a-z]?"]);
  assert.equal(out.filters.file_patterns[0]?.path, "/x");
});

Deno.test("checkPassword() refuses what is too long or too easy, and takes hashes", () => {
  const rules = { minEntropy: 60, recognises: (text: string) => text.startsWith("$2a$") };
  assert.deepEqual(checkPassword("password", undefined, rules), []);
  assert.deepEqual(checkPassword("password", "", rules), []);
  assert.deepEqual(checkPassword("password", "$2a$10$x", rules), []);
  assert.match(checkPassword("password", "abc123", rules)[0] ?? "", /^password: is too easy/);
  assert.match(checkPassword("password", "a".repeat(400), rules)[0] ?? "", /too easy/);
  assert.deepEqual(checkPassword("password", "Tr0ub4dor&3-horse", rules), []);
  const long = "é".repeat(513);
  assert.match(checkPassword("password", long, rules)[0] ?? "", /longer than 1024 bytes/);
  assert.ok(entropy("qwertyuiop") < entropy("qpwoeirutyx"));
});

Deno.test("checkAdmin() and decodeAdmin() name the field", () => {
  const check = (more: Record<string, unknown>) =>
    Either.match(decodeAdmin({ username: "root", permissions: ["*"], ...more }), {
      onLeft: (found) => found,
      onRight: (input) => checkAdmin(input, config).problems,
    });
  assert.deepEqual(check({}), []);
  for (
    const [more, expected] of [
      [{ permissions: [] }, "permissions: at least one"],
      [{ permissions: ["fly"] }, "permissions[0]: "],
      [{ username: ".." }, "username: "],
      [{ filters: { allow_list: ["x"] } }, "filters.allow_list[0]: "],
      [{ role: "sales" }, "role: "],
      [{ color: 1 }, "color: unknown field"],
    ] as const
  ) assert.ok(check(more)[0]?.startsWith(expected), `${expected} ${check(more)}`);
});

live("userToJson() and adminToJson() hold no secret", () =>
  Effect.gen(function* () {
    const { users, admins } = yield* openIn(yield* tempDir);
    yield* users.add(user("anna", { password: "secret" }), operator);
    const secret = { status: "Plain", payload: "JBSWY3DP", key: "", additional_data: "", mode: 0 };
    yield* users.setTotp("anna", {
      enabled: true,
      config_name: "Default",
      secret: { ...secret, status: "Plain" },
      protocols: ["SSH"],
    });
    const anna = yield* users.find("anna");
    assert.equal(anna?.filters.totp_config?.secret?.payload, "JBSWY3DP");
    const json = userToJson(anna!);
    assert.equal(json.has_password, true);
    assert.equal(json.filters.totp_config?.enabled, true);
    assert.doesNotMatch(JSON.stringify(json), /SHA256|JBSWY|password_hash|recovery/);
    // What the API answers, the API takes back, and the second factor stays.
    const again = decodeUser(JSON.parse(JSON.stringify(json)));
    assert.ok(Either.isRight(again), "its own answer was refused");
    yield* users.update("anna", again.right, operator);
    assert.deepEqual((yield* users.find("anna"))?.filters.totp_config, anna?.filters.totp_config);
    assert.equal((yield* users.find("anna"))?.password_hash, anna?.password_hash);
    const input = decodeAdmin({ username: "root", permissions: ["*"], password: "secret" });
    assert.ok(Either.isRight(input));
    const root = yield* admins.add(input.right, operator);
    assert.doesNotMatch(JSON.stringify(adminToJson(root)), /SHA256|password_hash|recovery/);
  }));

live("SQL in names is refused or comes back exactly as it was", () =>
  Effect.gen(function* () {
    const { users, admins, journal } = yield* openIn(yield* tempDir);
    const corpus = [
      "' or '1'='1",
      "'; drop table users; --",
      '" or ""="',
      "a' union select password_hash from users --",
      "x'); delete from users where ('1'='1",
      "%",
      "_",
      "a\\'b",
      "0x414141",
      "NULL",
      "1; PRAGMA writable_schema=1",
      "?1",
      ":name",
      "@p",
      "$1",
      "{{7*7}}",
      "${7*7}",
      "rowid",
      "Ａdmin",
      "a\u0000' --",
    ];
    let stored = 0;
    for (const name of corpus) {
      const result = yield* Effect.either(
        users.add(user(name, { description: name, additional_info: name }), operator),
      );
      if (Either.isLeft(result)) {
        assert.equal(result.left.reason, "Invalid", result.left.message);
        continue;
      }
      stored += 1;
      const found = yield* users.find(name);
      assert.deepEqual([found?.username, found?.description], [name, name]);
      yield* journal.record({ action: "login.failed", status: 2, username: name });
      yield* users.setUsage(name, { bytes: stored, files: 1 });
      assert.equal(yield* admins.find(name), undefined);
    }
    assert.ok(stored >= 10);
    const all = yield* users.list({ limit: 100, offset: 0 });
    assert.equal(all.length, stored);
    assert.equal(new Set(all.map((u) => u.used_quota_size)).size, stored);
    for (const found of all) yield* users.remove(found.username, operator);
    assert.deepEqual(yield* users.list({ limit: 100, offset: 0 }), []);
  }));

Deno.test("decodeUser() and checkUser() answer, and never throw, on anything", () => {
  const field = fc.constantFrom(...Object.keys(user("a")), ...Object.keys(user("a").filters), "x");
  const inner = fc.dictionary(field, fc.anything({ maxDepth: 3 }));
  const json = fc.oneof(
    fc.anything(),
    fc.record({ username: fc.string(), permissions: fc.constant({ "/": ["*"] }), filters: inner }),
    fc.record({
      username: fc.string({ unit: "binary" }),
      permissions: fc.dictionary(fc.string(), fc.constant(["list"])),
      home_dir: fc.string(),
      email: fc.string(),
      public_keys: fc.array(fc.string()),
      filters: fc.record({
        allowed_ip: fc.array(fc.string()),
        start_directory: fc.string(),
        file_patterns: fc.array(fc.record({
          path: fc.string(),
          denied_patterns: fc.array(fc.string()),
        })),
      }),
    }),
  );
  fc.assert(
    fc.property(json, (value) => {
      const decoded = decodeUser(value);
      const found = Either.isLeft(decoded)
        ? decoded.left
        : checkUser(decoded.right, config).problems;
      for (const text of found) assert.match(text, /^[^:\n][^\n]*$/);
    }),
    { numRuns: 1000 },
  );
});
