import assert from "node:assert/strict";
import { Effect, Either, Stream } from "effect";
import type { Journal } from "../../src/events/journal.ts";
import { seal } from "../../src/identity/sealed.ts";
import { live, tempDir } from "../harness.ts";
import { byName, dumpable } from "./backup_data_world.ts";
import { encode, operator, user } from "./world.ts";

const eventsOf = (journal: typeof Journal.Service) =>
  Effect.map(Stream.runCollect(journal.query({})), (found) => [...found]);

const folderOf = (dir: string) => ({
  version: 17,
  folders: [{ name: "shared", mapped_path: `${dir}/shared`, used_quota_size: 7 }],
  groups: [{
    name: "staff",
    user_settings: { quota_size: 5000, permissions: { "/in": ["upload"] } },
    virtual_folders: [{ name: "shared", virtual_path: "/shared" }],
  }],
  users: [
    {
      username: "anna",
      password: encode("secret"),
      permissions: { "/": ["*"], "/out": ["list"] },
      groups: [{ name: "staff", type: 1 }],
      virtual_folders: [{ name: "shared", virtual_path: "/mine", quota_size: -1, quota_files: -1 }],
      description: 'tab\tnul\u0000 \ud83d\ude00 "quoted" \'; drop table users',
      quota_size: 9007199254740991,
      used_quota_size: 4096,
      used_quota_files: 2,
      used_upload_data_transfer: 12,
      created_at: 1000,
      last_login: 2000,
      last_password_change: 3000,
    },
    { username: "ben", permissions: { "/": ["list"] }, status: 0, password: "" },
  ],
  admins: [{ username: "root", permissions: ["*"], password: encode("operator") }],
  ip_lists: [
    { ipornet: "192.0.2.0/24", type: 2, mode: 2, protocols: 3, description: "bad" },
    { ipornet: "2001:db8::/32", type: 1 },
    { ipornet: "192.0.2.0/24", type: 3 },
  ],
});

live(
  "dumpData() writes what loadData() takes to an equal catalog, and twice changes nothing",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const one = yield* dumpable(`${dir}/one`);
      yield* one.load(folderOf(dir));
      const totp = seal(one.key, "JBSWY3DP", "anna");
      yield* one.users.setTotp("anna", {
        ...{ enabled: true, config_name: "Default", secret: totp, protocols: ["SSH"] },
      });
      const text = yield* one.dump();
      const document = JSON.parse(text);
      assert.equal(document.version, 17);
      assert.deepEqual(Object.keys(document), [
        ...["version", "folders", "groups", "users", "admins", "ip_lists"],
      ]);
      const [anna] = document.users;
      assert.equal(anna.password, encode("secret"));
      assert.deepEqual(anna.filters.totp_config.secret, { ...totp });
      assert.deepEqual([anna.used_quota_size, anna.created_at, anna.last_login], [
        4096,
        1000,
        2000,
      ]);
      assert.deepEqual(anna.description, folderOf(dir).users[0]?.description);

      Deno.mkdirSync(`${dir}/two`);
      Deno.copyFileSync(`${dir}/one/master.key`, `${dir}/two/master.key`);
      const two = yield* dumpable(`${dir}/two`);
      yield* two.load(document);
      assert.equal(yield* two.dump(), text);
      const events = yield* eventsOf(two.journal);
      assert.deepEqual(
        events.map((e) => `${e.action} ${e.object_type} ${e.object_name} ${e.username}`),
        [
          "provider.add folder shared root",
          "provider.add group staff root",
          "provider.add user anna root",
          "provider.add user ben root",
          "provider.add admin root root",
          "provider.add ip_list_entry 2001:db8::/32 root",
          "provider.add ip_list_entry 192.0.2.0/24 root",
          "provider.add ip_list_entry 192.0.2.0/24 root",
        ],
      );
      const again = yield* two.load(document);
      assert.deepEqual(new Set(again.changes.map(({ action }) => action)), new Set(["same"]));
      assert.equal(yield* two.dump(), text);
      assert.equal((yield* eventsOf(two.journal)).length, events.length);
    }),
);

live(
  "dumpData() is of one moment, and writers beside it do not wait",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const one = yield* dumpable(dir);
      const beside = yield* dumpable(dir);
      yield* one.load(folderOf(dir));
      const before = yield* one.dump();
      let more = 0;
      const change = Effect.gen(function* () {
        yield* beside.users.add(user(`more${more++}`), operator);
        yield* beside.users.update("ben", user("ben", { quota_files: more }), operator);
      });
      assert.equal(yield* one.dump(undefined, Effect.orDie(change)), before);
      assert.ok(more > 5);
      assert.equal(JSON.parse(yield* one.dump(["users"])).users.length, 2 + more);
      assert.deepEqual(Object.keys(JSON.parse(yield* one.dump(["users"]))), ["version", "users"]);
    }),
);

live(
  "loadData() names what it changes, and keeps what the file leaves open",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { load, users, dump, journal } = yield* dumpable(dir);
      yield* load(folderOf(dir));
      yield* users.setUsage("anna", { bytes: 99, files: 9 });
      const before = yield* dump();
      const file = {
        folders: [{ name: "shared", mapped_path: `${dir}/elsewhere`, used_quota_size: 1 }],
        groups: [{ name: "New", virtual_folders: [{ name: "shared", virtual_path: "/s" }] }],
        users: [
          { ...folderOf(dir).users[0], password: undefined, used_quota_size: 5, quota_files: 3 },
          { username: "ben", permissions: { "/": ["list"] }, status: 1, password: "brand new" },
        ],
        admins: [{ username: "root", permissions: ["view_users"] }],
        ip_lists: [{ ipornet: "192.0.2.0/24", type: 2, mode: 1, protocols: 3, description: "bad" }],
      };
      const expected = {
        "folders shared": "update mapped_path",
        "groups New": "add",
        "users anna": "update quota_files",
        "users ben": "update status,password",
        "admins root": "update permissions",
        "ip_lists defender 192.0.2.0/24": "update mode",
      };
      const asked = yield* load(file, { dryRun: true });
      assert.deepEqual(byName(asked), expected);
      assert.equal(yield* dump(), before, "a dry run changed something");
      const onlyNew = yield* load(file, { mode: 1, dryRun: true });
      assert.deepEqual(byName(onlyNew)["users anna"], "skip");
      assert.deepEqual(byName(onlyNew)["groups New"], "add");

      const events = (yield* eventsOf(journal)).length;
      assert.deepEqual(byName(yield* load(file)), expected);
      assert.equal((yield* eventsOf(journal)).length, events + 6);
      const [anna, ben] = [yield* users.find("anna"), yield* users.find("ben")];
      assert.equal(anna?.password_hash, encode("secret"));
      assert.equal(anna?.used_quota_size, 99);
      assert.deepEqual([anna?.created_at, anna?.last_password_change], [1000, 3000]);
      assert.equal(ben?.password_hash, encode("brand new"));
      assert.ok(ben!.last_password_change > 1e12);
      // A plain password that the account has already is no change.
      const again = yield* load(file);
      assert.deepEqual(new Set(again.changes.map(({ action }) => action)), new Set(["same"]));
      // "" clears; status 0 is told to whoever ends sessions.
      const gone = yield* load({
        users: [{ username: "ben", permissions: { "/": ["list"] }, status: 0, password: "" }],
      });
      assert.deepEqual(byName(gone), { "users ben": "update status,password" });
      assert.deepEqual(gone.disabled, ["ben"]);
      assert.equal((yield* users.find("ben"))?.password_hash, "");
    }),
);

live(
  "loadData() names every problem at once, with its place, and changes nothing",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { load, dump } = yield* dumpable(dir);
      yield* load(folderOf(dir));
      const before = yield* dump();
      const good = (username: string, more = {}) => ({
        username,
        permissions: { "/": ["*"] },
        ...more,
      });
      const file = {
        version: 18,
        folders: [{ name: "x", mapped_path: "relative" }, { name: "ok", mapped_path: `${dir}/ok` }],
        groups: [{ name: "g", virtual_folders: [{ name: "nowhere", virtual_path: "/n" }] }],
        users: [
          good("fine"),
          good("carl", {
            filters: { foo: 1, allowed_ip: ["400.1.1.1"] },
            groups: [{ name: "no", type: 3 }],
          }),
          good("cora", {
            quota_size: -3,
            status: 7,
            email: "no",
            permissions: { "/": ["*", "fly"] },
          }),
          good("dora", { groups: [{ name: "g", type: 2 }, { name: "none", type: 3 }], oops: "y" }),
          good(" fine "),
          good("eve", {
            filesystem: { provider: 0, s3config: { bucket: "b" } },
            password: 12345678,
          }),
          good("fay", { password: "$2a$broken-hash" }),
          "gus",
          good("hal", {
            virtual_folders: [{ name: "x", virtual_path: "/x" }, { name: "q", virtual_path: "/q" }],
          }),
        ],
        admins: [{ username: "new", permissions: ["*"] }, {
          username: "bad",
          permissions: ["fly"],
        }],
        ip_lists: [{ ipornet: "300.0.0.0/8", type: 1 }, {
          ipornet: "10.0.0.0/8",
          type: 1,
          mode: 2,
        }],
        roles: [{ name: "r" }],
        shares: [],
        configs: { updated_at: 0 },
        extra: { a: 1 },
      };
      const result = yield* Effect.either(load(file));
      assert.ok(Either.isLeft(result));
      assert.equal(result.left.reason, "Invalid");
      const said = result.left.detail.split("\n");
      const places = said.map((line) => line.replace(/: .*/s, ""));
      assert.deepEqual(
        places.toSorted(),
        [
          "admins[1].permissions[0]",
          "extra",
          "folders[0].mapped_path",
          "groups[0].virtual_folders[0].name",
          "ip_lists[0].ipornet",
          "ip_lists[1].mode",
          "roles",
          "users[1].filters.allowed_ip[0]",
          "users[1].filters.foo",
          "users[1].groups[0].name",
          "users[2].email",
          'users[2].permissions["/"][1]',
          "users[2].quota_size",
          "users[2].status",
          "users[3].groups[1].name",
          "users[3].oops",
          "users[4].username",
          "users[5].filesystem.s3config",
          "users[5].password",
          "users[6].password",
          "users[7]",
          "users[8].virtual_folders[1].name",
          "version",
        ].toSorted(),
        result.left.detail,
      );
      assert.doesNotMatch(result.left.detail, /12345678|broken-hash/);
      assert.match(result.left.detail, /users\[1\]\.filters\.foo: unknown field/);
      assert.match(result.left.detail, /users\[4\]\.username: is there twice, see users\[0\]/);
      assert.equal(yield* dump(), before);
      // What only the catalog can tell.
      const lacking = yield* Effect.either(load({ admins: file.admins.slice(0, 1) }));
      assert.ok(Either.isLeft(lacking));
      assert.equal(lacking.left.detail, "admins[0].password: an admin needs one");
      for (const odd of [null, 5, [], "x", { users: {} }, { users: 3 }]) {
        const refused = yield* Effect.either(load(odd));
        assert.ok(Either.isLeft(refused), JSON.stringify(odd));
      }
      assert.equal(yield* dump(), before);
    }),
);
