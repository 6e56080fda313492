/**
 * Fails the build when an import points the wrong way (ARCHITECTURE section 1).
 *
 * `web, adapters -> actors -> src`, never sideways, never up; each third-party
 * package stays in its folder; protocols reach bytes through the VFS only.
 */
import { dirname, join, normalize } from "node:path/posix";

/** One import that may not be. */
export interface Breach {
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/** Where each package may be imported, besides `test/` and `scripts/`. Prefixes of paths. */
const fences: ReadonlyArray<readonly [name: RegExp, allowed: ReadonlyArray<string>]> = [
  [/^(effect|@effect\/platform)$/, ["src/", "actors/", "adapters/", "web/"]],
  [/^kysely$/, ["src/", "adapters/libsql/"]],
  [/^ssh2$/, ["adapters/ssh/"]],
  [/^sodium-native$/, ["adapters/ssh/"]],
  [/^@libsql\/client$/, ["adapters/libsql/"]],
  [/^@node-rs\//, ["adapters/passwords/"]],
  [/^otplib$/, ["adapters/otp/"]],
  [/^hono$/, ["web/"]],
  [/^saxes$/, ["adapters/webdav/"]],
  [/^(busboy|@zip\.js\/zip\.js)$/, ["web/api/"]],
  [/^commander$/, ["src/cli/"]],
];

/** The core computes; it opens no file and no socket. */
const coreBuiltins = new Set([
  "node:crypto",
  "node:buffer",
  "node:path",
  "node:path/posix",
  "node:zlib",
]);
/** Failpoints act out a crash, and only `abort` needs no right the server lacks. */
const coreExceptions = new Set(["src/failpoint.ts node:process"]);

const productFolders = ["src", "actors", "adapters", "web"];
const folders = new Set([
  ...productFolders,
  ...["test", "scripts", "docs", "bench", ".ci", ".git", ".github", "node_modules", "data"],
]);

/** Files that join the parts, and so look outward. Nothing else may import them. */
const isComposition = (path: string) =>
  ["main", "app", "crew", "host_keys", "serving", "worker"].map((name) => `src/${name}.ts`)
    .includes(path) ||
  path.startsWith("src/cli/");

const rank = (path: string): number | undefined =>
  ({ src: 0, actors: 1, adapters: 2, web: 2 })[path.split("/")[0] ?? ""];

/** Adapters that speak to clients: they see the VFS, never a storage. */
const isProtocol = (path: string) => /^(adapters\/(ssh|ftp|webdav)|web)\//.test(path);

/** The folder whose files belong together: one adapter, one storage, or the whole layer. */
const unit = (path: string): string => {
  const parts = path.split("/").slice(0, -1);
  if (parts[0] !== "adapters") return parts[0] ?? "";
  return parts.slice(0, parts[1] === "storage" ? 3 : 2).join("/");
};

const blank = (text: string) => text.replace(/[^\n]/g, " ");

/** Every module specifier in a source text, with its line. Comments and templates are not read. */
export const specifiers = (source: string): ReadonlyArray<{ specifier: string; line: number }> => {
  const code = source.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (match, text?: string) => text ?? blank(match),
  );
  const found = code.matchAll(
    /\b(?:import|export)\b[^"'`;=()]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g,
  );
  return [...found].map((m) => {
    const specifier = m[1] ?? m[2] ?? "";
    const at = m.index + m[0].lastIndexOf(specifier);
    return { specifier, line: code.slice(0, at).split("\n").length };
  });
};

const badPackage = (file: string, specifier: string): string | undefined => {
  if (/^(jsr:|https?:|npm:)/.test(specifier)) {
    return `${specifier}: import packages by the names of deno.json`;
  }
  if (rank(file) === undefined) return undefined;
  if (specifier.startsWith("node:")) {
    const core = file.startsWith("src/") && !isComposition(file);
    return core && !coreBuiltins.has(specifier) && !coreExceptions.has(`${file} ${specifier}`)
      ? `${specifier} in the core; only ${[...coreBuiltins].join(", ")} may be used here`
      : undefined;
  }
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  const fence = fences.find(([pattern]) => pattern.test(name));
  if (!fence) return `${name} has no fence; give it one folder in scripts/check_imports.ts`;
  const [, allowed] = fence;
  return allowed.some((prefix) => file.startsWith(prefix))
    ? undefined
    : `${name} outside ${allowed.join(", ")}`;
};

const badFile = (file: string, target: string): string | undefined => {
  const from = rank(file);
  const to = rank(target);
  if (from === undefined) return undefined;
  if (/^(test|scripts)\//.test(target)) return `${target}: the product imports no test or script`;
  if (to === undefined || isComposition(file)) return undefined;
  if (isComposition(target)) return `${target} is the composition root; nothing imports it`;
  if (to > from) return `${target}: imports point web, adapters -> actors -> src`;
  const [here, there] = [unit(file), unit(target)];
  // A file directly in adapters/storage/ is shared by the storages below it.
  if (from === 2 && to === 2 && here !== there && !(there === dirname(here))) {
    return `${target}: sideways import from ${here}`;
  }
  if (isProtocol(file) && target.startsWith("src/storage/")) {
    return `${target}: protocols go through the VFS`;
  }
  return undefined;
};

/** Checks one file. `file` is relative to the root of the repository. */
export const checkFile = (file: string, source: string): ReadonlyArray<Breach> =>
  specifiers(source).flatMap(({ specifier, line }) => {
    const why = /^\.{0,2}\//.test(specifier)
      ? badFile(file, normalize(join(dirname(file), specifier)))
      : badPackage(file, specifier);
    return why === undefined ? [] : [{ file, line, why }];
  });

/** Checks the names of the folders at the top of the repository. */
export const checkFolders = (names: ReadonlyArray<string>): ReadonlyArray<Breach> =>
  names.filter((n) => !folders.has(n)).map((file) => ({
    file,
    line: 1,
    why: `not a folder of ARCHITECTURE section 1 (${productFolders.join(", ")} ...)`,
  }));

async function* sources(dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory && path !== "web/dist") yield* sources(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

if (import.meta.main) {
  const top: string[] = [];
  for await (const entry of Deno.readDir(".")) if (entry.isDirectory) top.push(entry.name);
  const breaches = [...checkFolders(top)];
  for (const dir of top.filter((d) => [...productFolders, "test", "scripts"].includes(d))) {
    for await (const file of sources(dir)) {
      breaches.push(...checkFile(file, await Deno.readTextFile(file)));
    }
  }
  const lines = breaches.map((b) => `${b.file}:${b.line}: ${b.why}\n`).sort().join("");
  Deno.stderr.writeSync(new TextEncoder().encode(lines));
  Deno.exit(breaches.length > 0 ? 1 : 0);
}
