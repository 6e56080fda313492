/** What the C library is called: with glibc, with musl. */
const names: Readonly<Partial<Record<typeof Deno.build.os, ReadonlyArray<string>>>> = {
  linux: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
  darwin: ["libSystem.dylib"],
};

let name: string | undefined;

/**
 * Opens the C library for `symbols`. Throws where there is none that is known,
 * where it has not all of them, and where the process may not call it.
 */
export const openCLibrary = <const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S> => Deno.dlopen(name ??= find(), symbols);

/**
 * Finds out by the name alone: a library that lacks a symbol is still the one
 * of this process, and no second one may be loaded beside it.
 */
const find = (): string => {
  let why: unknown = new Error(`no C library is known on ${Deno.build.os}`);
  for (const each of names[Deno.build.os] ?? []) {
    try {
      Deno.dlopen(each, {}).close();
      return each;
    } catch (cause) {
      why = cause;
    }
  }
  throw why;
};
