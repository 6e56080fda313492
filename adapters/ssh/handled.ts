/** An engine that dropped the promise must not end the process with an unhandled rejection. */
export const handled = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {});
  return promise;
};

/** A promise that is rejected already. */
export const refused = (error: Error): Promise<never> => handled(Promise.reject(error));
