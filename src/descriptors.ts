/** Numbers in a row without a descriptor, after which none is looked for any more. */
const GAP = 4096;
const F_GETFD = 1;

/** What the C library needs to declare for {@linkcode descriptors}. */
export const fcntlSymbol = { parameters: ["i32", "i32"], result: "i32" } as const;

/** The descriptors that this process has open now: the runtime does not tell those of its sockets. */
export function* descriptors(fcntl: (fd: number, command: number) => number): Generator<number> {
  for (let fd = 3, misses = 0; misses < GAP; fd++) {
    if (fcntl(fd, F_GETFD) < 0) misses++;
    else {
      misses = 0;
      yield fd;
    }
  }
}
