/** A control connection without a client program in between. */
export interface Lines extends Disposable {
  /** Writes bytes as they are: one call is one packet, as long as the other side keeps reading. */
  readonly send: (text: string) => Promise<void>;
  /** One whole reply, with all of its lines. Fails when none comes in 10 s. */
  readonly answer: () => Promise<string>;
  readonly ask: (command: string) => Promise<string>;
  /** Goes on in TLS; the client trusts `ca` alone. */
  readonly secure: (ca: string) => Promise<void>;
}

/** Connects in clear, and reads the greeting. */
export const connect = async (port: number): Promise<Lines> => {
  let conn: Deno.TcpConn | Deno.TlsConn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay?.(true);
  const buffer = new Uint8Array(65536);
  let text = "";
  const answer = async () => {
    for (;;) {
      const whole = /^(?:(\d{3})-.*?\r\n)?(?:.*?\r\n)??\d{3} [^\r]*\r\n/s.exec(text)?.[0];
      if (whole !== undefined) {
        text = text.slice(whole.length);
        return whole.trimEnd();
      }
      const timer = setTimeout(() => conn.close(), 10_000);
      const count = await conn.read(buffer).finally(() => clearTimeout(timer));
      if (count === null) throw new Error(`the server left: ${text}`);
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
  };
  const send = async (line: string) => {
    const bytes = new TextEncoder().encode(line);
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  const secure = async (ca: string) => {
    const tls = await Deno.startTls(conn as Deno.TcpConn, { hostname: "localhost", caCerts: [ca] });
    await tls.handshake();
    conn = tls;
  };
  await answer();
  return {
    send,
    answer,
    ask: async (command) => (await send(`${command}\r\n`), await answer()),
    secure,
    [Symbol.dispose]: () => conn.close(),
  };
};

/** Connects and logs in. */
export const login = async (port: number): Promise<Lines> => {
  const lines = await connect(port);
  await lines.ask("USER anna");
  await lines.ask("PASS secret");
  return lines;
};

/** Asks for a passive port and connects to it. */
export const data = async (lines: Lines): Promise<Deno.TcpConn> => {
  const port = Number(/\(\|\|\|(\d+)\|\)/.exec(await lines.ask("EPSV"))?.[1]);
  return await Deno.connect({ hostname: "127.0.0.1", port });
};

/** All that comes on a connection until its end, as text of one byte a character. */
export const all = async (conn: Deno.Conn): Promise<string> => {
  const bytes = await new Response(conn.readable).bytes();
  return new TextDecoder("latin1").decode(bytes);
};
