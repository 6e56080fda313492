/**
 * Runs the jobs given to it one at a time, with a turn of the event loop
 * between two of them: a burst of key exchanges, each of which computes for
 * milliseconds, then shares the thread with transfers (SECURITY.md 3.1 item 9).
 */
export const handshakeQueue = (): (job: () => void) => void => {
  const jobs: Array<() => void> = [];
  let running = false;
  const next = () => {
    const job = jobs.shift();
    if (!job) {
      running = false;
      return;
    }
    setImmediate(next);
    job();
  };
  return (job) => {
    jobs.push(job);
    if (running) return;
    running = true;
    setImmediate(next);
  };
};
