import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import { KeyFileError, KeyFiles } from "../../src/identity/key_files.ts";

const mostBytes = 5 * 1024 * 1024;

/** Reads key files from the disk, again only after they changed. */
export const layer: Layer.Layer<KeyFiles, never, Config> = Layer.effect(
  KeyFiles,
  Effect.gen(function* () {
    const { data_dir } = yield* Config;
    const known = new Map<string, { readonly version: string; readonly text: string }>();
    return KeyFiles.of({
      read: (name) =>
        Effect.gen(function* () {
          const path = resolve(data_dir, name);
          const unreadable = (cause: unknown) =>
            new KeyFileError({ path, what: "cannot be read", cause });
          const facts = yield* Effect.tryPromise({ try: () => stat(path), catch: unreadable });
          if (!facts.isFile()) return yield* new KeyFileError({ path, what: "is not a file" });
          if (facts.size > mostBytes) {
            return yield* new KeyFileError({ path, what: "is larger than 5 MB" });
          }
          const version = `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeMs}`;
          const before = known.get(path);
          if (before?.version === version) return before.text;
          const text = yield* Effect.tryPromise({
            try: () => readFile(path, "utf8"),
            catch: unreadable,
          });
          known.set(path, { version, text });
          return text;
        }),
    });
  }),
);
