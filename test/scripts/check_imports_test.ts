import assert from "node:assert/strict";
import { checkFile, checkFolders, specifiers } from "../../scripts/check_imports.ts";

const breaches = (file: string, source: string) => checkFile(file, source).map((b) => b.line);

Deno.test("specifiers() finds every form of import and its line when comments name others", () => {
  const source = [
    `import { a,`,
    `  b } from "./one.ts";`,
    `// import x from "./no.ts";`,
    `/* import "./no.ts" */ import "./two.ts";`,
    `export * from './three.ts';`,
    `export type { T } from "./four.ts";`,
    "const text = `import x from './no.ts'`;",
    `const lazy = await import("./five.ts");`,
    `const said = "https://example.org//x";`,
  ].join("\n");
  assert.deepEqual(specifiers(source), [
    { specifier: "./one.ts", line: 2 },
    { specifier: "./two.ts", line: 4 },
    { specifier: "./three.ts", line: 5 },
    { specifier: "./four.ts", line: 6 },
    { specifier: "./five.ts", line: 8 },
  ]);
});

const bad: ReadonlyArray<readonly [why: string, file: string, specifier: string]> = [
  ["the core imports an actor", "src/vfs/vfs.ts", "../../actors/actor.ts"],
  ["the core imports an adapter", "src/vfs/vfs.ts", "../../adapters/ssh/engine.ts"],
  ["an actor imports an adapter", "actors/session.ts", "../adapters/ssh/engine.ts"],
  ["an actor imports the web", "actors/session.ts", "../web/app.ts"],
  ["an adapter imports the web", "adapters/ssh/engine.ts", "../../web/app.ts"],
  ["the web imports an adapter", "web/app.ts", "../adapters/ssh/engine.ts"],
  ["one adapter imports another", "adapters/ssh/engine.ts", "../ftp/server.ts"],
  ["one storage imports another", "adapters/storage/s3/s3.ts", "../local/local.ts"],
  ["a protocol imports a storage", "adapters/ssh/sftp/open.ts", "../../storage/local/local.ts"],
  [
    "a protocol imports the storage port",
    "adapters/ssh/scp/sink.ts",
    "../../../src/storage/storage.ts",
  ],
  ["the web imports the storage port", "web/api/files.ts", "../../src/storage/storage.ts"],
  ["the core imports the composition root", "src/vfs/vfs.ts", "../app.ts"],
  ["an adapter imports the command line", "adapters/ssh/engine.ts", "../../src/cli/serve.ts"],
  ["the product imports a test", "actors/session.ts", "../test/harness.ts"],
  ["ssh2 leaves its folder", "actors/session.ts", "ssh2"],
  ["a part of ssh2 leaves its folder", "web/app.ts", "ssh2/lib/protocol/keyParser.js"],
  ["libSQL leaves its folder", "src/catalog/catalog.ts", "@libsql/client"],
  ["kysely reaches a protocol", "adapters/ssh/engine.ts", "kysely"],
  ["a hash library leaves its folder", "src/identity/passwords.ts", "@node-rs/argon2"],
  ["commander leaves the command line", "src/main.ts", "commander"],
  ["a package has no fence", "src/vfs/vfs.ts", "left-pad"],
  ["the core opens sockets", "src/vfs/vfs.ts", "node:net"],
  ["the core opens files", "src/config/load.ts", "node:fs/promises"],
  ["a registry is named in the source", "test/x_test.ts", "jsr:@std/assert"],
  ["a package is fetched by address", "scripts/x.ts", "https://deno.land/std/mod.ts"],
  ["an npm specifier goes round deno.json", "adapters/ssh/engine.ts", "npm:ssh2@1.17.0"],
];

for (const [why, file, specifier] of bad) {
  Deno.test(`checkFile() refuses the file when ${why}`, () => {
    assert.deepEqual(breaches(file, `\nimport { x } from "${specifier}";\n`), [2]);
    assert.deepEqual(breaches(file, `export * from "${specifier}";`), [1]);
    assert.deepEqual(breaches(file, `\n\nawait import("${specifier}");`), [3]);
  });
}

Deno.test("checkFile() passes what ARCHITECTURE section 1 allows", () => {
  const good: ReadonlyArray<readonly [string, string]> = [
    ["src/app.ts", "../adapters/ssh/engine.ts"],
    ["src/main.ts", "./app.ts"],
    ["src/cli/serve.ts", "../app.ts"],
    ["src/cli/serve.ts", "commander"],
    ["src/vfs/vfs.ts", "../storage/storage.ts"],
    ["src/vfs/vfs.ts", "node:crypto"],
    ["src/catalog/rows.ts", "kysely"],
    ["actors/session.ts", "../src/vfs/vfs.ts"],
    ["actors/listener.ts", "node:net"],
    ["adapters/ssh/sftp/open.ts", "../engine.ts"],
    ["adapters/ssh/sftp/open.ts", "../../../src/vfs/vfs.ts"],
    ["adapters/ssh/server.ts", "../../actors/registry.ts"],
    ["adapters/ssh/server.ts", "ssh2"],
    ["adapters/storage/local/local.ts", "../../../src/storage/storage.ts"],
    ["adapters/storage/s3/s3.ts", "../spool.ts"],
    ["adapters/passwords/argon2.ts", "@node-rs/argon2"],
    ["web/app.ts", "hono/jsx"],
    ["test/e2e/x_test.ts", "../../adapters/ssh/engine.ts"],
    ["test/e2e/x_test.ts", "ssh2"],
  ];
  for (const [file, specifier] of good) {
    assert.deepEqual(
      checkFile(file, `import { x } from "${specifier}";`),
      [],
      `${file} ${specifier}`,
    );
  }
});

Deno.test("checkFolders() refuses a folder that ARCHITECTURE section 1 does not have", () => {
  assert.deepEqual(checkFolders(["src", "utils", ".ci"]).map((b) => b.file), ["utils"]);
});
