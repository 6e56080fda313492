/** HTTP requests written byte by byte, so that headers and bodies can lie. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const basic = (credentials: string) => `Basic ${btoa(credentials)}`;

/** Opens a connection and writes the head of a request: user `anna`, one request a connection. */
export const begin = async (
  port: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): Promise<Deno.TcpConn> => {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const all = {
    host: `127.0.0.1:${port}`,
    authorization: basic("anna:pa"),
    connection: "close",
    ...(body === "" ? {} : { "content-length": String(body.length) }),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const bytes = new TextEncoder().encode(`${line} HTTP/1.1\r\n${head}\r\n${body}`);
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  return conn;
};

/** Sends a request and reads its answer. Status 0: the server left without one, or gave none in 8 s. */
export const send = async (
  port: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): Promise<Answer> => {
  const conn = await begin(port, line, headers, body);
  const timer = setTimeout(() => conn.close(), 8000);
  const text = new TextDecoder("latin1").decode(
    await new Response(conn.readable).bytes().catch(() => new Uint8Array()),
  );
  clearTimeout(timer);
  const [, status = "0", fields = "", rest = ""] =
    /^HTTP\/1\.1 (\d{3})[^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(text) ?? [];
  const pairs = fields.split("\r\n").filter((field) => field.includes(":")).map((
    field,
  ): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1).trim()];
  });
  return { status: Number(status), headers: new Headers(pairs), body: rest };
};
