// Makes a container on a server for Azure's blobs, with the shared key of an account (the format of 2021-08-06).
// Arguments: the endpoint, the account, its key, the name of the container.
const crypto = require("node:crypto");

const [endpoint, account, key, container] = process.argv.slice(2);

async function main() {
  const url = new URL(`${endpoint}/${container}?restype=container`);
  const headers = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-08-06" };
  const named = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("");
  // Verb, eleven standard headers that are not sent, the x-ms headers, then the resource with its parameters.
  const text = `PUT\n\n\n\n\n\n\n\n\n\n\n\n${named}/${account}${url.pathname}\nrestype:container`;
  const signature = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
  headers.authorization = `SharedKey ${account}:${signature}`;
  const answer = await fetch(url, { method: "PUT", headers });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
