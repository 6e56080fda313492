import { run } from "./process.ts";

/** What curl got. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Header lines, lower-cased names. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Makes a `curl` for one user: paths are sent as written, and no answer is an error. */
export const curlAs = (user: string, password: string) => async (...args: string[]) => {
  const { stdout, stderr, code } = await run("curl", [
    "-sS",
    "-i",
    "--path-as-is",
    "-u",
    `${user}:${password}`,
    ...args,
  ]);
  const blocks = stdout.split("\r\n\r\n");
  let at = 0;
  while (/^HTTP\/[\d.]+ 1\d\d/.test(blocks[at] ?? "")) at++;
  const [first = "", ...lines] = (blocks[at] ?? "").split("\r\n");
  const status = Number(/^HTTP\/[\d.]+ (\d+)/.exec(first)?.[1] ?? NaN);
  if (Number.isNaN(status)) throw new Error(`curl ${args.join(" ")}: ${code} ${stderr}`);
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  }));
  return { status, body: blocks.slice(at + 1).join("\r\n\r\n"), headers } satisfies Answer;
};

export type Curl = ReturnType<typeof curlAs>;

/** The body of a LOCK. */
export const lockInfo = (scope: "exclusive" | "shared" = "exclusive") =>
  `<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:${scope}/></D:lockscope>` +
  `<D:locktype><D:write/></D:locktype><D:owner>me</D:owner></D:lockinfo>`;

/** Takes a lock and answers its token. */
export const lock = async (curl: Curl, url: string, ...args: string[]): Promise<string> => {
  const { status, headers, body } = await curl("-X", "LOCK", "--data", lockInfo(), ...args, url);
  const token = /^<(.*)>$/.exec(headers.get("lock-token") ?? "")?.[1];
  if (token === undefined) throw new Error(`LOCK: ${status} ${body}`);
  return token;
};

/** Sets the dead property `color`. */
export const paint = async (curl: Curl, url: string, color: string): Promise<void> => {
  const { status, body } = await curl(
    "-X",
    "PROPPATCH",
    "--data",
    `<propertyupdate xmlns="DAV:"><set><prop><color xmlns="urn:x">${color}</color></prop></set></propertyupdate>`,
    url,
  );
  if (status !== 207 || !body.includes("200 OK")) throw new Error(`PROPPATCH: ${status} ${body}`);
};

/** The dead property `color`; undefined for none. */
export const colorOf = async (curl: Curl, url: string): Promise<string | undefined> => {
  const { status, body } = await curl(
    "-X",
    "PROPFIND",
    "-H",
    "Depth: 0",
    "--data",
    `<propfind xmlns="DAV:"><prop><color xmlns="urn:x"/></prop></propfind>`,
    url,
  );
  if (status !== 207) throw new Error(`PROPFIND: ${status} ${body}`);
  return /<color xmlns="urn:x">([^<]*)</.exec(body)?.[1];
};
