import createPoly1305 from "ssh2/lib/protocol/crypto/poly1305.js";
import type { Bytes } from "./port.ts";

/** The 16 bytes of the MAC of `body` with a key of 32 bytes; good until the next call. */
export type Poly1305 = (key: Uint8Array, body: Uint8Array) => Bytes;

interface Module {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(at: number): void;
  _poly1305_auth(
    mac: number,
    first: number,
    firstLength: number,
    second: number,
    secondLength: number,
    key: number,
  ): void;
}

/** Loads the poly1305 that comes with ssh2 (WebAssembly). */
export const loadPoly1305 = async (): Promise<Poly1305> => {
  const module = await (createPoly1305 as unknown as () => Promise<Module>)();
  const macAt = module._malloc(48), keyAt = macAt + 16;
  let room = 36 * 1024, at = module._malloc(room);
  const mac: Bytes = new Uint8Array(16);
  return (key, body) => {
    if (body.length > room) {
      module._free(at);
      room = body.length;
      at = module._malloc(room);
    }
    const { HEAPU8 } = module;
    HEAPU8.set(key, keyAt);
    HEAPU8.set(body, at);
    module._poly1305_auth(macAt, at, body.length, at, 0, keyAt);
    mac.set(HEAPU8.subarray(macAt, macAt + 16));
    return mac;
  };
};
