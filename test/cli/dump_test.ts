import assert from "node:assert/strict";
import { folder, type Ran, sluice } from "./process.ts";

const refused = (ran: Ran, code: number, ...said: ReadonlyArray<RegExp>) => {
  assert.equal(ran.code, code, ran.err);
  const lines = ran.err.trim().split("\n");
  assert.equal(lines.length, said.length, ran.err);
  said.forEach((pattern, i) => assert.match(lines[i] ?? "", pattern));
};

const anna = { username: "anna", permissions: { "/": ["*"] } };

Deno.test("sluice dump writes a private file at once, and replaces nothing but a dump", async () => {
  await using dir = await folder();
  const data = ["--data-dir", `${dir.path}/data`];
  const added = await sluice(["user", "add", "anna", "--password-stdin", ...data], {
    stdin: "s3cret pass\n",
  });
  assert.equal(added.code, 0, added.err);
  const file = `${dir.path}/dump.json`;
  const written = await sluice(["dump", file, ...data]);
  assert.equal(written.code, 0, written.err);
  assert.match(
    written.out,
    /wrote .*dump\.json: 0 folders, 0 groups, 1 users, 0 admins, 0 ip lists/,
  );
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  const text = await Deno.readTextFile(file);
  assert.match(JSON.parse(text).users[0].password, /^\$argon2id\$/);
  assert.doesNotMatch(text, /s3cret/);
  assert.equal((await sluice(["dump", ...data])).out, text);
  const some = await sluice(["dump", "-", "--scopes", "users, admins", ...data]);
  assert.deepEqual(Object.keys(JSON.parse(some.out)), ["version", "users", "admins"]);

  // An earlier dump is replaced, also one that others could read.
  await Deno.chmod(file, 0o644);
  const json = await sluice(["dump", file, "--json", ...data]);
  assert.deepEqual(JSON.parse(json.out), {
    ...{ file, size: text.length, folders: 0, groups: 0, users: 1, admins: 0, ip_lists: 0 },
  });
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  await Deno.writeTextFile(`${dir.path}/notes`, "mine");
  await Deno.symlink(file, `${dir.path}/link`);
  for (const name of ["notes", "link", "data", "data/sluice.db"]) {
    refused(await sluice(["dump", `${dir.path}/${name}`, ...data]), 4, /is no dump; name another/);
  }
  assert.equal(await Deno.readTextFile(`${dir.path}/notes`), "mine");
  refused(await sluice(["dump", `${dir.path}/none/x`, ...data]), 1, /none\/x: cannot be written/);
  refused(await sluice(["dump", "--scopes", "users,roles", ...data]), 2, /keeps no roles; known:/);
  refused(await sluice(["dump", "--scopes", "cats", ...data]), 2, /unknown "cats"/);
  refused(await sluice(["dump", "--scopes", ",", ...data]), 2, /names nothing/);
  const left = [...Deno.readDirSync(dir.path)].map(({ name }) => name).toSorted();
  assert.deepEqual(left, ["data", "dump.json", "link", "notes"]);
});

Deno.test("sluice load says what would change, what is wrong and where, and does all or nothing", async () => {
  await using dir = await folder();
  const data = ["--data-dir", `${dir.path}/data`];
  const file = `${dir.path}/in.json`;
  const put = (document: unknown) => Deno.writeTextFile(file, JSON.stringify(document));
  const load = (...more: string[]) => sluice(["load", file, ...more, ...data]);
  const users = async () => JSON.parse((await sluice(["user", "list", "--json", ...data])).out);

  refused(await load(), 3, /in\.json: no such file/);
  await put({ users: [{ ...anna, password: "plain pass", quota_size: 5 }] });
  const asked = await load("--dry-run");
  assert.equal(asked.code, 0, asked.err);
  assert.match(asked.out, /^add +users +anna$/m);
  assert.doesNotMatch(asked.out, /plain pass/);
  assert.deepEqual(await users(), []);
  const done = await sluice(["load", "-", ...data], { stdin: await Deno.readTextFile(file) });
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /^users +1 +0 +0 +0$/m);
  assert.equal((await users())[0].has_password, true);

  await put({
    users: [{ ...anna, password: "other pass", quota_size: 6 }, { ...anna, username: "b" }],
  });
  const change = await load("--dry-run", "--json");
  assert.deepEqual(JSON.parse(change.out).objects, [
    { scope: "users", name: "anna", action: "update", fields: ["quota_size", "password"] },
    { scope: "users", name: "b", action: "add", fields: [] },
  ]);
  const onlyNew = await load("--mode", "1", "--json");
  assert.deepEqual(JSON.parse(onlyNew.out).counts, {
    users: { add: 1, update: 0, same: 0, skip: 1 },
  });
  const home = (await users())[0].home_dir;
  await Deno.mkdir(home, { recursive: true });
  await Deno.writeTextFile(`${home}/file`, "12345");
  const scanned = await load("--scan-quota", "2", "--json");
  assert.equal(JSON.parse(scanned.out).scanned, 1, scanned.err);
  assert.deepEqual((await users()).map((u: { used_quota_size: number }) => u.used_quota_size), [
    5,
    0,
  ]);

  const before = (await sluice(["dump", ...data])).out;
  await put({
    users: [
      { ...anna, username: "new" },
      { ...anna, username: "bad", filters: { foo: "s3cret" }, password: { s3cret: 1 } },
      { ...anna, username: "worse", groups: [{ name: "none", type: 1 }], quota_size: -1 },
    ],
    roles: [{ name: "r" }],
  });
  refused(
    await load(),
    2,
    /roles: this version keeps none/,
    /users\[1\]\.filters\.foo: unknown field$/,
    /users\[1\]\.password: Expected string$/,
    /users\[2\]\.quota_size: Expected a number between/,
    /users\[2\]\.groups\[0\]\.name: there is no group "none"/,
  );
  const failed = JSON.parse((await load("--json")).out);
  assert.equal(failed.exit, 2);
  assert.match(failed.error, /users\[1\]\.filters\.foo/);
  await Deno.writeTextFile(file, '{"users":[{"password":"s3cret"');
  refused(await load(), 2, /in\.json: not valid JSON( at position \d+.*)?$/);
  await Deno.writeTextFile(file, '{"users":[{"password":s3cret}]}');
  const broken = await load();
  refused(broken, 2, /not valid JSON/);
  assert.doesNotMatch(broken.err, /s3cret/);
  await Deno.writeFile(file, Uint8Array.of(0x22, 0xff, 0x22));
  refused(await load(), 2, /not valid UTF-8/);
  refused(await load("--mode", "3"), 2, /--mode: must be 0, 1 or 2/);
  refused(await load("--scan-quota", "x"), 2, /--scan-quota: must be/);
  refused(await sluice(["load", dir.path, ...data]), 1, /cannot be read/);
  assert.equal((await sluice(["dump", ...data])).out, before);
});
