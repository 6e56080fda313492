/** A control connection without a client program in between. */
export interface Dialog extends Disposable {
  send(text: string): void;
  sendBytes(bytes: Uint8Array<ArrayBuffer>): void;
  /** One whole reply, with all of its lines. */
  answer(): Promise<string>;
  ask(command: string): Promise<string>;
  /** All that comes until the server ends the connection. */
  rest(): Promise<string>;
}

/** Connects to a server in clear. */
export const dialog = async (port: number): Promise<Dialog> => {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  let writing: Promise<unknown> = Promise.resolve();
  const sendBytes = (bytes: Uint8Array<ArrayBuffer>) => {
    writing = writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    }).catch(() => {});
  };
  const more = async () => {
    const count = await conn.read(buffer).catch(() => null);
    if (count !== null) text += decoder.decode(buffer.subarray(0, count));
    return count !== null;
  };
  const answer = async () => {
    for (;;) {
      const whole = /^(?:(\d{3})-.*?\r\n)?(?:.*?\r\n)??\d{3} [^\r\n]*\r\n/s.exec(text);
      if (whole) {
        text = text.slice(whole[0].length);
        return whole[0];
      }
      if (!await more()) throw new Error(`the server left: ${text}`);
    }
  };
  const send = (line: string) => sendBytes(new TextEncoder().encode(line));
  return {
    send,
    sendBytes,
    answer,
    ask: (command) => {
      send(`${command}\r\n`);
      return answer();
    },
    rest: async () => {
      while (await more());
      return text;
    },
    [Symbol.dispose]: () => conn.close(),
  };
};

/** The port in an answer to EPSV. */
export const passivePort = (answer: string): number =>
  Number(/\(\|\|\|(\d+)\|\)/.exec(answer)?.[1]);

/**
 * A Python program (its ftplib is a client that nobody here wrote) that uploads
 * `whole` in TLS and then cuts the data connection; prints the last answer.
 */
export const cutting = (port: number, password: string, how: "rst" | "fin" | "stranger") => `
import ftplib, os, socket, ssl, struct, time
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
class Ftp(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        session = None if "${how}" == "stranger" else self.sock.session
        return context.wrap_socket(conn, session=session), size
ftp = Ftp(context=context, timeout=10)
ftp.connect("127.0.0.1", ${port})
ftp.login("anna", "${password}")
ftp.prot_p()
try:
    conn = ftp.transfercmd("STOR whole")
    conn.sendall(b"x" * 200000)
    time.sleep(0.3)
    if "${how}" == "rst":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(conn.detach())
except (ssl.SSLError, OSError):
    pass
try:
    print(ftp.voidresp())
except ftplib.Error as error:
    print(error)
`;
