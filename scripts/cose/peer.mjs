// A COSE library for JavaScript, asked over standard input: a line of JSON for each question, and one for each
// answer. `differential.py` is at the other end.

import { register } from "node:module";
import { createInterface } from "node:readline";

// The library imports its files without their extension, as bundlers allow and Node does not.
const hook = `export const resolve = (name, context, next) =>
    next(name.startsWith("./") && !name.endsWith(".js") ? name + ".js" : name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const [{ Ed25519Key }, { ECDSAKey }, { HMACKey }, { Sign1Message }, { Mac0Message }, { Header }, utils] =
  await Promise.all(
    ["ed25519", "ecdsa", "hmac", "sign1", "mac0", "header", "utils"].map((part) => import(`@ldclabs/cose-ts/${part}`)),
  );

const ED25519 = -19;
const ESP256 = -9;

/// The library knows the algorithms of RFC 9053, -8 and -7, and not the names that RFC 9864 gave them. A message
/// asks its key for the algorithm's number, and to sign and verify; so the key's own part is the library's.
const renamed = (alg, key) => ({ alg, sign: (...all) => key.sign(...all), verify: (...all) => key.verify(...all) });

const keyOf = ({ algorithm, secret, point }) => {
  const bytes = utils.hexToBytes(secret ?? point);
  const from = secret ? "fromSecret" : "fromPublic";
  switch (algorithm) {
    case ED25519:
      return renamed(ED25519, Ed25519Key[from](bytes));
    case ESP256:
      return renamed(ESP256, ECDSAKey[from](bytes));
    default:
      return HMACKey.fromSecret(bytes, algorithm);
  }
};

const answer = ({ key, context, document, header, said }) => {
  const [Message, own] = [key.algorithm < 0 ? Sign1Message : Mac0Message, keyOf(key)];
  const aad = utils.utf8ToBytes(context);
  if (document) {
    return utils.bytesToHex(Message.fromBytes(own, utils.hexToBytes(document), aad).payload);
  }
  // Claims come in another order: the library's own encoder puts them in theirs.
  const payload = utils.encodeCBOR(utils.decodeCBOR(utils.hexToBytes(said)));
  const message = new Message(payload, Header.fromBytes(utils.hexToBytes(header)), new Header());
  return utils.bytesToHex(Message.withTag(message.toBytes(own, aad)));
};

for await (const line of createInterface({ input: process.stdin })) {
  let result;
  try {
    result = { bytes: answer(JSON.parse(line)) };
  } catch (error) {
    result = { refused: String(error) };
  }
  console.log(JSON.stringify(result));
}
