import assert from "node:assert/strict";
import { run } from "./process.ts";
import type { World } from "./world.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
  /** Of curl itself. */
  readonly code: number;
}

/** One request by curl. */
export const curl = async (...args: string[]): Promise<Answer> => {
  const { stdout, code } = await run("curl", [
    ...["-sS", "-w", "\n%{http_code}\n%{header_json}"],
    ...args,
  ]);
  const [, body = "", status = "", json = ""] = /^([\s\S]*)\n(\d{3})\n(\{[\s\S]*)$/.exec(stdout) ??
    [];
  const headers = new Headers();
  for (const [name, values] of Object.entries(JSON.parse(json || "{}"))) {
    headers.set(name, String((values as string[]).at(-1)));
  }
  return { status: Number(status), body, headers, code };
};

/** The status of an answer that is to be an error of the one shape. */
export const refusal = (answer: Answer): number => {
  const { message, error } = JSON.parse(answer.body);
  assert.equal(typeof message, "string");
  assert.equal(typeof error, "string");
  return answer.status;
};

/** Users who talk to the file API with curl, each with a token that is got when it is needed. */
export const apiUsers = (world: () => World, password: string) => {
  const tokens = new Map<string, string>();
  const base = () => `${world().server.http}/api/v2/user`;
  /** The address of a route, with its query. */
  const url = (route: string, query: Readonly<Record<string, string>> = {}) =>
    `${base()}/${route}?${new URLSearchParams(query)}`;
  const login = async (user: string): Promise<string> => {
    const answer = await curl("-u", `${user}:${password}`, `${base()}/token`);
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body).access_token;
  };
  /** The header that shows who asks. */
  const bearer = async (user: string): Promise<string> => {
    const token = tokens.get(user) ?? await login(user);
    tokens.set(user, token);
    return `Authorization: Bearer ${token}`;
  };
  const as = async (user: string, ...args: string[]): Promise<Answer> =>
    await curl("-H", await bearer(user), ...args);
  /** Names in a directory, sorted. */
  const names = async (user: string, path: string): Promise<ReadonlyArray<string>> =>
    JSON.parse((await as(user, url("dirs", { path }))).body)
      .map(({ name }: { name: string }) => name).sort();
  return { base, url, login, bearer, as, names };
};
