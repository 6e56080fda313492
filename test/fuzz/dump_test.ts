import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import fc from "fast-check";
import { dumpable } from "../catalog/backup_data_world.ts";
import { encode } from "../catalog/world.ts";
import { live, tempDir } from "../harness.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Every place in a document. */
const placesOf = (json: Json, path: ReadonlyArray<string> = []): Array<ReadonlyArray<string>> =>
  typeof json !== "object" || json === null ? [path] : [
    path,
    ...Object.entries(json).flatMap(([name, member]) => placesOf(member, [...path, name])),
  ];

/** The document with something else in one place; with a member more where that is an object. */
const changed = (json: Json, [name, ...rest]: ReadonlyArray<string>, to: Json): Json => {
  if (name === undefined) return to;
  const copy = (Array.isArray(json) ? [...json] : { ...json as object }) as Record<string, Json>;
  const old = copy[name] ?? null;
  Object.defineProperty(copy, name, {
    ...{ value: changed(old, rest, to), enumerable: true, writable: true, configurable: true },
  });
  return copy;
};

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
  fc.constantFrom<Json>(-1, 1e300, 0.5, 2 ** 53, "\u0000", "../..", "a".repeat(5000), [], {}, [[]]),
  fc.constantFrom<Json>(JSON.parse('{"__proto__":{"admin":true},"constructor":1}'), "__proto__"),
  fc.string({ unit: "binary" }),
);

live(
  "loadData() takes or refuses whatever a document holds, whole, and shows no hash",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { load, dump } = yield* dumpable(dir);
      yield* load({
        folders: [{ name: "shared", mapped_path: `${dir}/shared` }],
        groups: [{ name: "staff", virtual_folders: [{ name: "shared", virtual_path: "/s" }] }],
        users: [{
          username: "anna",
          password: encode("secret"),
          permissions: { "/": ["*"] },
          groups: [{ name: "staff", type: 1 }],
          filters: {
            totp_config: {
              ...{ enabled: true, config_name: "Default", protocols: ["SSH"] },
              secret: { status: "Plain", payload: "JBSWY3DPEHPK3PXP" },
            },
            file_patterns: [{ path: "/x", allowed_patterns: ["*.txt"] }],
            bandwidth_limits: [{ sources: ["10.0.0.0/8"], upload_bandwidth: 5 }],
          },
        }],
        admins: [{ username: "root", password: encode("operator"), permissions: ["*"] }],
        ip_lists: [{ ipornet: "192.0.2.1/32", type: 1 }],
      });
      let document: Json = JSON.parse(yield* dump());
      const places = placesOf(document);
      const outcome = { loaded: 0, refused: 0 };
      const cases = fc.sample(
        fc.tuple(fc.constantFrom(...places), fc.option(fc.string()), odd),
        { numRuns: 1500, seed: 41 },
      );
      for (const [place, more, value] of cases) {
        const at = more === null ? place : [...place, more];
        const file = changed(document, at, value);
        const result = yield* Effect.either(load(file));
        const now = yield* dump();
        if (Either.isRight(result)) {
          outcome.loaded++;
          document = JSON.parse(now);
          const again = yield* load(document, { dryRun: true });
          assert.ok(again.changes.every(({ action }) => action === "same"), JSON.stringify(at));
          continue;
        }
        outcome.refused++;
        assert.equal(result.left.reason, "Invalid", JSON.stringify([at, value]));
        assert.doesNotMatch(result.left.detail, /\{SHA256\}[0-9a-f]|JBSWY/);
        assert.deepEqual(JSON.parse(now), document, JSON.stringify(at));
      }
      assert.ok(outcome.loaded > 100 && outcome.refused > 100, JSON.stringify(outcome));
    }),
);
