// Asks a TOML language server about a pipeline file: opens it, then asks for completions and hovers at marked places, and
// prints what it says as JSON. Arguments: the folder of node_modules, the file, then places as LINE:COLUMN, from zero.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [modules, file, ...places] = process.argv.slice(2);
const { TaploLsp } = createRequire(path.join(modules, "x.js"))("@taplo/lsp");

const waiting = new Map();
const diagnostics = [];
let toldDiagnostics = () => {};
const opened = new Promise((resolve) => (toldDiagnostics = resolve));

const lsp = await TaploLsp.initialize(
  {
    now: () => new Date(),
    envVar: () => undefined,
    envVars: () => [],
    stdErrAtty: () => false,
    stdin: async () => new Uint8Array(),
    stdout: async (bytes) => bytes.length,
    stderr: async (bytes) => bytes.length,
    glob: () => [],
    readFile: (name) => fs.promises.readFile(name),
    writeFile: async () => {},
    urlToFilePath: (url) => (url.startsWith("file:") ? fileURLToPath(url) : undefined),
    isAbsolute: (name) => path.isAbsolute(name),
    cwd: () => path.dirname(file),
    findConfigFile: () => undefined,
    fetch: {
      fetch: async () => { throw new Error("nothing is fetched"); },
      Headers: globalThis.Headers,
      Request: globalThis.Request,
      Response: globalThis.Response,
    },
  },
  {
    onMessage: (message) => {
      if (message.id !== undefined && waiting.has(message.id)) {
        waiting.get(message.id)(message);
      } else if (message.method === "textDocument/publishDiagnostics") {
        diagnostics.push(...message.params.diagnostics);
        toldDiagnostics();
      } else if (message.id !== undefined && message.method === "workspace/configuration") {
        lsp.send({ jsonrpc: "2.0", id: message.id, result: message.params.items.map(() => ({ schema: { enabled: true } })) });
      }
    },
  },
);

let last = 0;
function ask(method, params) {
  last += 1;
  const id = last;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    lsp.send({ jsonrpc: "2.0", id, method, params });
  });
}

const uri = pathToFileURL(file).href;
const folder = pathToFileURL(path.dirname(file)).href;
await ask("initialize", {
  processId: null,
  rootUri: folder,
  workspaceFolders: [{ uri: folder, name: "project" }],
  capabilities: { workspace: { configuration: true, workspaceFolders: true } },
  initializationOptions: { configurationSection: "evenBetterToml" },
});
lsp.send({ jsonrpc: "2.0", method: "initialized", params: {} });
lsp.send({
  jsonrpc: "2.0",
  method: "textDocument/didOpen",
  params: { textDocument: { uri, languageId: "toml", version: 1, text: fs.readFileSync(file, "utf8") } },
});
await opened;

const answers = [];
for (const place of places) {
  const [line, character] = place.split(":").map(Number);
  const at = { textDocument: { uri }, position: { line, character } };
  const completion = await ask("textDocument/completion", at);
  const hover = await ask("textDocument/hover", at);
  const items = completion.result?.items ?? completion.result ?? [];
  answers.push({
    place,
    completions: items.map((item) => ({ label: item.label, documentation: item.documentation?.value ?? item.documentation ?? null })),
    hover: hover.result?.contents?.value ?? null,
  });
}
console.log(JSON.stringify({ diagnostics: diagnostics.map((item) => ({ line: item.range.start.line, message: item.message })), answers }));
process.exit(0);
