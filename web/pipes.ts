/** Two ends of one stream inside this process: what goes in at one comes out at the other. */
export interface Pipe {
  readonly near: Deno.Conn;
  readonly far: Deno.Conn;
}

export interface Pipes {
  /** Fails where the process has no descriptors left, and after `close`. */
  readonly open: () => Promise<Pipe>;
  /** Pipes that are open stay. Idempotent. */
  readonly close: () => void;
}

/** Bytes that tell an end of ours from a stranger's. */
const TOKEN = 16;

/**
 * Makes pipes that the runtime's HTTP can serve: Deno has no socket pairs, so they
 * go over a unix socket in a folder of mode 0700.
 */
export const openPipes = (): Pipes => {
  const folder = Deno.makeTempDirSync({ prefix: "sluice-" });
  const path = `${folder}/pipe`;
  const forget = () => {
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch {
      // Whoever sweeps temporary folders was faster.
    }
  };
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } catch (error) {
    forget();
    throw error;
  }

  const make = async (): Promise<Pipe> => {
    const near = await Deno.connect({ transport: "unix", path });
    try {
      const token = crypto.getRandomValues(new Uint8Array(TOKEN));
      await near.write(token);
      for (;;) {
        const far = await listener.accept();
        // An end that we gave up is still in the queue.
        if (await shows(far, token)) return { near, far };
        far.close();
      }
    } catch (error) {
      near.close();
      throw error;
    }
  };
  // One at a time, so that each finds its own other end.
  let last: Promise<unknown> = Promise.resolve();
  let over = false;
  return {
    open: () => {
      const pipe = last.then(make);
      last = pipe.catch(() => {});
      return pipe;
    },
    close: () => {
      if (over) return;
      over = true;
      listener.close();
      forget();
    },
  };
};

const shows = async (conn: Deno.Conn, token: Uint8Array): Promise<boolean> => {
  const shown = new Uint8Array(TOKEN);
  for (let at = 0; at < TOKEN;) {
    const count = await conn.read(shown.subarray(at)).catch(() => null);
    if (count === null) return false;
    at += count;
  }
  return shown.every((byte, i) => byte === token[i]);
};
