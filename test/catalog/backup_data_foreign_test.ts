import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import { seal, unseal } from "../../src/identity/sealed.ts";
import { live, tempDir } from "../harness.ts";
import { byName, dumpable } from "./backup_data_world.ts";
import { operator, user } from "./world.ts";

/** Members as SFTPGo 2.7 writes them, empty ones too (BEHAVIOUR DB-10, CMP-03). */
const sftpgo = (dir: string) => ({
  users: [{
    id: 1,
    status: 1,
    username: "Alice",
    expiration_date: 0,
    // bcrypt of "password"
    password: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
    public_keys: null,
    has_password: true,
    home_dir: `${dir}/alice`,
    virtual_folders: [{
      ...{ id: 3, name: "vf", mapped_path: `${dir}/vf`, used_quota_size: 0, used_quota_files: 0 },
      ...{ last_quota_update: 0, users: ["alice"], filesystem: { provider: 0, osconfig: {} } },
      ...{ virtual_path: "/vf", quota_size: -1, quota_files: -1 },
    }],
    uid: 0,
    gid: 0,
    max_sessions: 0,
    quota_size: 0,
    quota_files: 0,
    permissions: { "/": ["*"] },
    upload_data_transfer: 0,
    download_data_transfer: 0,
    total_data_transfer: 0,
    created_at: 1700000000000,
    updated_at: 1700000000001,
    last_login: 1700000000002,
    last_password_change: 1700000000003,
    groups: [{ name: "grp", type: 1 }],
    filters: {
      hooks: {
        ...{ external_auth_disabled: false, pre_login_disabled: false },
        check_password_disabled: false,
      },
      totp_config: { secret: {} },
      tls_username: "None",
      user_type: "",
      denied_protocols: ["FTP"],
      web_client: ["shares-disabled"],
      custom_placeholder: "",
      some_new_list: [],
    },
    filesystem: {
      ...{ provider: 0, osconfig: {}, gcsconfig: {}, httpconfig: { password: {}, api_key: {} } },
      ...{ s3config: { access_secret: {} }, azblobconfig: { account_key: {}, sas_url: {} } },
      ...{ cryptconfig: { passphrase: {} }, sftpconfig: { password: {}, private_key: {} } },
    },
  }],
  folders: [{
    ...{ id: 3, name: "vf", mapped_path: `${dir}/vf`, used_quota_size: 10, used_quota_files: 1 },
    filesystem: { provider: 0, osconfig: {}, s3config: { access_secret: {} } },
  }],
  groups: [{
    id: 1,
    name: "grp",
    created_at: 1,
    updated_at: 2,
    user_settings: { filters: { hooks: {} }, filesystem: { provider: 0, osconfig: {} } },
  }],
  admins: [{
    id: 1,
    status: 1,
    username: "admin",
    password: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
    permissions: ["*"],
    filters: { require_two_factor: false, totp_config: { secret: {} }, preferences: {} },
    groups: [{ name: "grp", options: {} }],
    created_at: 5,
  }],
  api_keys: [],
  shares: [],
  event_actions: null,
  event_rules: [],
  roles: [],
  ip_lists: [],
  configs: {},
  version: 17,
});

live(
  "loadData() takes a dump of SFTPGo, its hashes too, and refuses what it would lose",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { load, users, dump } = yield* dumpable(`${dir}/data`, "real");
      const file = sftpgo(dir);
      assert.deepEqual(byName(yield* load(file)), {
        "folders vf": "add",
        "groups grp": "add",
        "users Alice": "add",
        "admins admin": "add",
      });
      const alice = yield* users.find("Alice");
      assert.equal(alice?.password_hash, file.users[0]?.password);
      assert.equal(alice?.last_login, 1700000000002);
      assert.deepEqual(alice?.virtual_folders, [
        { name: "vf", virtual_path: "/vf", quota_size: -1, quota_files: -1, subpath: "" },
      ]);
      const again = yield* load(file);
      assert.deepEqual(new Set(again.changes.map(({ action }) => action)), new Set(["same"]));
      const before = yield* dump();

      const [one] = file.users;
      const foreign = {
        ...file,
        users: [{
          ...one,
          filters: {
            ...one?.filters,
            custom_placeholder: "set",
            totp_config: {
              ...{ enabled: true, config_name: "Default", protocols: ["SSH"] },
              secret: {
                status: "Secretbox",
                payload: "abc",
                key: "k",
                additional_data: "",
                mode: 0,
              },
            },
          },
        }],
        event_rules: [{ name: "rule" }],
        configs: { sftpd: { ciphers: ["x"] } },
      };
      const refused = yield* Effect.either(load(foreign));
      assert.ok(Either.isLeft(refused));
      assert.deepEqual(refused.left.detail.split("\n").map((line) => line.replace(/: .*/, "")), [
        "event_rules",
        "configs",
        "users[0].filters.custom_placeholder",
        "users[0].filters.totp_config.secret",
      ]);
      const { custom_placeholder: _, ...filters } = foreign.users[0]!.filters;
      const locked = yield* Effect.either(
        load({ ...file, users: [{ ...one, filters }] }),
      );
      assert.ok(Either.isLeft(locked));
      assert.match(locked.left.detail, /^users\[0\]\.filters\.totp_config\.secret: .*Secretbox/);
      assert.equal(yield* dump(), before);
      // Naming scopes says that the rest is not meant.
      yield* load({ ...foreign, users: "not looked at" }, { scopes: ["groups", "folders"] });
      assert.equal(yield* dump(), before);
    }),
);

live(
  "loadData() keeps second factors, seals plain ones, and takes none that it cannot open",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { load, users, key, dump } = yield* dumpable(`${dir}/one`);
      const other = yield* dumpable(`${dir}/two`);
      yield* users.add(user("anna"), operator);
      const withTotp = (secret: unknown) => ({
        users: [{
          username: "anna",
          permissions: { "/": ["*"] },
          filters: {
            totp_config: { enabled: true, config_name: "Default", protocols: ["SSH"], secret },
          },
        }],
      });
      const plain = { status: "Plain", payload: "JBSWY3DPEHPK3PXP" };
      assert.deepEqual(byName(yield* load(withTotp(plain))), {
        "users anna": "update filters.totp_config",
      });
      const stored = (yield* users.find("anna"))!.filters.totp_config!.secret!;
      assert.equal(stored.status, "AES-256-GCM");
      assert.equal(unseal(key, stored, "anna"), plain.payload);
      assert.deepEqual(byName(yield* load(withTotp(plain))), { "users anna": "same" });
      const used = yield* users.useTotpStep("anna", 77);
      assert.ok(used);

      // A list that says nothing about it takes it from nobody.
      const bare = { users: [{ username: "anna", permissions: { "/": ["*"] }, quota_files: 5 }] };
      assert.deepEqual(byName(yield* load(bare)), { "users anna": "update quota_files" });
      assert.deepEqual((yield* users.find("anna"))!.filters.totp_config!.secret, stored);
      assert.equal(yield* users.useTotpStep("anna", 77), false, "a used code works again");

      const before = yield* dump();
      for (
        const [secret, said] of [
          [seal(other.key, "JBSWY3DP", "anna"), /another master key/],
          [seal(key, "JBSWY3DP", "ben"), /sealed for another account/],
          [{ ...stored, payload: `A${stored.payload.slice(1)}` }, /was changed/],
          [{ status: "Redacted" }, /does not hold it/],
          [{ status: "Plain", payload: "" }, /is needed|does not hold it/],
          [undefined, /secret: is needed/],
        ] as const
      ) {
        const refused = yield* Effect.either(load(withTotp(secret)));
        assert.ok(Either.isLeft(refused), String(said));
        assert.match(refused.left.detail, said);
        assert.doesNotMatch(refused.left.detail, /JBSWY/);
      }
      assert.equal(yield* dump(), before);
    }),
);
