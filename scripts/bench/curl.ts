import type { Place, Served } from "./servers.ts";

/** Protocols of {@linkcode Served} `places`. */
export type WebProtocol = keyof NonNullable<Served["places"]>;

/** One transfer: the name on the server, and the file here. */
export interface Pair {
  readonly name: string;
  readonly file: string;
}

export const placeOf = (server: Served, protocol: WebProtocol): Place => {
  const place = server.places?.[protocol];
  if (!place) throw new Error(`${server.name} has no ${protocol}`);
  return place;
};

const quoted = (text: string) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** Runs curl, which must succeed in all that it was told; answers what `--write-out` said. */
const curl = async (
  what: string,
  args: ReadonlyArray<string>,
  config = "",
): Promise<string> => {
  const child = new Deno.Command("curl", {
    args: ["--silent", "--show-error", "--fail-early", "--fail", ...args, "--config", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(config)).catch(() => {});
  await input.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(`${what}: curl ended with ${code}\n${text.decode(stderr)}`);
  return text.decode(stdout);
};

/** One curl that moves all of them, one after another over one connection. */
const many = (pairs: ReadonlyArray<Pair>, line: (pair: Pair) => string) => pairs.map(line).join("");

/** Fetches files. */
export const get = async (
  server: Served,
  protocol: WebProtocol,
  pairs: ReadonlyArray<Pair>,
): Promise<void> => {
  const { args, download, url } = placeOf(server, protocol);
  const from = download ?? ((name: string) => url + name);
  const config = many(
    pairs,
    ({ name, file }) => `url = ${quoted(from(name))}\noutput = ${quoted(file)}\n`,
  );
  await curl(`${server.name}: get`, args, config);
};

/** Sends files. */
export const put = async (
  server: Served,
  protocol: WebProtocol,
  pairs: ReadonlyArray<Pair>,
): Promise<void> => {
  const { args, upload, url } = placeOf(server, protocol);
  const to = upload ?? ((name: string) => url + name);
  const config = many(
    pairs,
    ({ name, file }) => `url = ${quoted(to(name))}\nupload-file = ${quoted(file)}\n`,
  );
  // "Expect: 100-continue" makes small uploads wait for an answer that some servers never give.
  const more = protocol.startsWith("ftp") ? [] : ["--header", "Expect:", "--output", "/dev/null"];
  await curl(`${server.name}: put`, [
    ...args,
    ...(upload ? ["--request", "POST"] : []),
    ...more,
  ], config);
};

/** A PROPFIND of depth 1, in milliseconds: until the first byte of the answer, and until its last. */
export const propfind = async (
  server: Served,
  name: string,
): Promise<{ readonly first: number; readonly total: number; readonly entries: number }> => {
  const { args, url } = placeOf(server, "webdav");
  const file = await Deno.makeTempFile({ prefix: "sluice-propfind-" });
  try {
    const said = await curl(`${server.name}: propfind`, [
      ...args,
      ...["--request", "PROPFIND", "--header", "Depth: 1", "--output", file],
      ...["--write-out", "%{time_starttransfer} %{time_total}", url + name],
    ]);
    const [first = NaN, total = NaN] = said.split(" ").map((s) => Number(s) * 1000);
    const text = await Deno.readTextFile(file);
    return { first, total, entries: text.match(/<(?:\w+:)?response[ >]/gi)?.length ?? 0 };
  } finally {
    await Deno.remove(file);
  }
};
