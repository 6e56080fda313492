import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readRevocations, serialOf } from "../../src/tls/revocation.ts";
import { must } from "../e2e/process.ts";
import { scratch } from "../e2e/files.ts";

const config = `[ca]
default_ca = here
[here]
database = index.txt
default_md = sha384
default_crl_days = 2
crlnumber = number
crl_extensions = more
[more]
authorityKeyIdentifier = keyid
`;

/** An authority with a list that names the certificates `revoked-1` to `revoked-N`. */
const authority = async (dir: string, key: ReadonlyArray<string>, revoked: number) => {
  await Deno.mkdir(dir);
  const openssl = (...args: string[]) => must("openssl", args, { cwd: dir });
  const fresh = ["req", "-newkey", ...key, "-nodes"];
  const make = (name: string, ...more: string[]) =>
    openssl(...fresh, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, ...more);
  await make("ca", "-x509", "-days", "2", "-out", "ca.pem");
  await Deno.writeTextFile(`${dir}/conf`, config);
  await Deno.writeTextFile(`${dir}/index.txt`, "");
  await Deno.writeTextFile(`${dir}/number`, "01\n");
  const ca = ["ca", "-config", "conf", "-keyfile", "ca.key", "-cert", "ca.pem"];
  const certificates: X509Certificate[] = [];
  for (let i = 1; i <= revoked + 1; i++) {
    await make(`${i}`, "-out", `${i}.csr`);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", `0x00${i}abcdef0${i}`];
    await openssl("x509", "-req", "-days", "2", ...by, "-in", `${i}.csr`, "-out", `${i}.pem`);
    if (i <= revoked) await openssl(...ca, "-revoke", `${i}.pem`, "-crl_reason", "keyCompromise");
    certificates.push(new X509Certificate(await Deno.readTextFile(`${dir}/${i}.pem`)));
  }
  await openssl(...ca, "-gencrl", "-out", "list.pem");
  await openssl("crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der");
  return {
    ca: new X509Certificate(await Deno.readTextFile(`${dir}/ca.pem`)),
    certificates,
    pem: await Deno.readFile(`${dir}/list.pem`),
    der: await Deno.readFile(`${dir}/list.der`),
  };
};

Deno.test("readRevocations() reads what openssl writes, and believes only the authority's own", async () => {
  await using held = await scratch();
  const { dir } = held;
  const ec = await authority(`${dir}/ec`, ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], 3);
  const rsa = await authority(`${dir}/rsa`, ["rsa:2048"], 1);
  const none = await authority(`${dir}/none`, ["ed25519"], 0);
  const all = [none.ca, rsa.ca, ec.ca];
  for (const { ca, certificates, pem, der } of [ec, rsa, none]) {
    for (const file of [pem, der]) {
      const [list, ...more] = readRevocations(file, all);
      assert.equal(more.length, 0);
      assert.equal(list?.issuer.fingerprint256, ca.fingerprint256);
      assert.deepEqual([...list.serials].sort(), certificates.slice(0, -1).map(serialOf).sort());
    }
  }
  const both = new Uint8Array([...ec.pem, ...rsa.pem]);
  assert.equal(readRevocations(both, all).length, 2);
  assert.throws(() => readRevocations(ec.der, [rsa.ca, none.ca]), /has signed it/);
  assert.throws(() => readRevocations(new Uint8Array(), all), /no list/);
  assert.throws(() => readRevocations(new TextEncoder().encode("a list"), all), /no list/);
  assert.throws(() => readRevocations(ec.ca.raw, all), /./);
  for (let at = 0; at < ec.der.length; at++) {
    const cut = ec.der.subarray(0, at);
    assert.throws(() => readRevocations(cut, all), Error);
    const bent = ec.der.slice();
    bent[at] = (bent[at] ?? 0) ^ 0x41;
    assert.throws(() => readRevocations(bent, all), Error, `byte ${at}`);
  }
});
