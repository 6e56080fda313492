import assert from "node:assert/strict";
import { must } from "./process.ts";
import type { World } from "./world.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const parse = (stdout: string): Answer => {
  // An interim `100 Continue` comes first.
  const heads = stdout.split("\r\n\r\n");
  while (/^HTTP\/1\.1 1\d\d/.test(heads[0] ?? "")) heads.shift();
  const [first = "", ...lines] = (heads.shift() ?? "").split("\r\n");
  return {
    status: Number(first.split(" ")[1]),
    headers: new Headers(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1)];
      }),
    ),
    body: heads.join("\r\n\r\n"),
  };
};

const b64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
/** Upload-Metadata. */
export const meta = (pairs: Record<string, string>) =>
  Object.entries(pairs).map(([key, value]) => `${key} ${b64(value)}`).join(",");
/** The type of what a PATCH carries. */
export const octets = { "content-type": "application/offset+octet-stream" };
export const bytes = (text: string) => new TextEncoder().encode(text);

/** Users who upload by tus with curl, each with a token that is got when it is needed. */
export const tusUsers = (world: () => World, password: string) => {
  const tokens = new Map<string, string>();
  const tokenOf = async (http: string, user: string): Promise<string> => {
    const known = tokens.get(http + user);
    if (known) return known;
    const url = `${http}/api/v2/user/token`;
    const { access_token } = JSON.parse(
      await must("curl", ["-sS", "-f", "-u", `${user}:${password}`, url]),
    );
    tokens.set(http + user, access_token);
    return access_token;
  };

  /** Asks with curl. `where` is relative to where uploads are made. */
  const ask = async (
    user: string,
    method: string,
    where: string,
    headers: Record<string, string> = {},
    body?: Uint8Array,
    http = world().server.http,
  ): Promise<Answer> => {
    const all = {
      authorization: `Bearer ${await tokenOf(http, user)}`,
      "tus-resumable": "1.0.0",
      expect: "",
      ...headers,
    };
    const url = where.startsWith("/") ? `${http}${where}` : `${http}/api/v2/user/tus${where}`;
    return parse(
      await must("curl", [
        "-sS",
        "-i",
        ...(method === "HEAD" ? ["-I"] : ["-X", method]),
        ...Object.entries(all).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
        ...(body ? ["--data-binary", "@-"] : []),
        url,
      ], body ? { stdin: body } : {}),
    );
  };

  const create = async (user: string, length: number, about: Record<string, string>) => {
    const made = await ask(user, "POST", "", {
      "upload-length": String(length),
      "upload-metadata": meta(about),
    });
    assert.equal(made.status, 201, made.body);
    return made.headers.get("location") ?? "";
  };
  const patch = (
    user: string,
    where: string,
    offset: number,
    body: Uint8Array,
    more: Record<string, string> = {},
  ) => ask(user, "PATCH", where, { ...octets, "upload-offset": String(offset), ...more }, body);
  const offsetOf = async (user: string, where: string) => {
    const { status, headers } = await ask(user, "HEAD", where);
    return status === 200 ? Number(headers.get("upload-offset")) : status;
  };
  const read = (user: string, path: string) => Deno.readTextFile(`${world().home(user)}/${path}`);
  const usage = async (user: string) => {
    const { used_quota_size, used_quota_files } = await world().server.user(user);
    return [used_quota_size, used_quota_files];
  };
  return { tokenOf, ask, create, patch, offsetOf, read, usage };
};
