import assert from "node:assert/strict";
import { Either } from "effect";
import fc from "fast-check";
import { checkUser } from "../../src/model/check_user.ts";
import { checkAdmin } from "../../src/model/check_admin.ts";
import { checkPassword, entropy } from "../../src/model/check_password.ts";
import { decodeAdmin, decodeUser } from "../../src/model/problems.ts";
import { settings, user } from "./world.ts";

const config = settings("/srv/sluice");
const key =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@here";

/** All problems of a user, from reading it to its rules. */
const problems = (more: Record<string, unknown>): ReadonlyArray<string> => {
  const json = { username: "anna", permissions: { "/": ["*"] }, ...more };
  return Either.match(decodeUser(json), {
    onLeft: (found) => found,
    onRight: (input) => checkUser(input, config).problems,
  });
};

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
